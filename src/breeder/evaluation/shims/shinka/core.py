"""`run_shinka_eval`: our own small implementation of the call that ShinkaEvolve evaluators make."""

import importlib.util
import json
import math
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def run_shinka_eval(
    program_path: str,
    results_dir: str,
    experiment_fn_name: str,
    num_runs: int = 1,
    get_experiment_kwargs: Callable[[int], dict[str, Any]] | None = None,
    aggregate_metrics_fn: Callable[[list[Any]], dict[str, Any]] | None = None,
    validate_fn: Callable[[Any], Any] | None = None,
    **_ignored: Any,
) -> tuple[dict[str, Any], bool, str | None]:
    """Run an experiment function of a program several times and write what came of it.

    Args:
        program_path: Python file of the candidate.
        results_dir: folder for metrics.json and correct.json.
        experiment_fn_name: function of the candidate to call.
        num_runs: number of calls, one after the other.
        get_experiment_kwargs: run index -> keyword arguments of the call.
        aggregate_metrics_fn: list of results -> metrics with `combined_score`.
        validate_fn: result -> (valid, reason) or a truth value.

    Returns:
        (metrics, whether every run was valid, the first error or None).
    """
    results: list[Any] = []
    error: str | None = None
    seconds: list[float] = []
    metrics: dict[str, Any] = {"combined_score": 0.0}
    try:
        experiment = getattr(_load(program_path), experiment_fn_name)
        for index in range(num_runs):
            arguments = get_experiment_kwargs(index) if get_experiment_kwargs else {}
            begin = time.perf_counter()
            result = experiment(**arguments)
            seconds.append(time.perf_counter() - begin)
            error = error or _objection(validate_fn, result)
            results.append(result)
        metrics = _aggregate(aggregate_metrics_fn, results)
        if error is None and not math.isfinite(float(metrics.get("combined_score", 0.0))):
            error = f"combined_score is {metrics['combined_score']}"
    except Exception as problem:
        traceback.print_exc()
        error = f"{type(problem).__name__}: {problem}"
    if seconds:
        metrics.setdefault("execution_time_mean", sum(seconds) / len(seconds))
    _write(Path(results_dir), metrics, error)
    return metrics, error is None, error


def _load(program_path: str) -> ModuleType:
    folder = str(Path(program_path).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location("program", program_path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{program_path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _objection(validate: Callable[[Any], Any] | None, result: Any) -> str | None:
    if validate is None:
        return None
    verdict = validate(result)
    valid, reason = verdict if isinstance(verdict, tuple) else (verdict, None)
    return None if valid else str(reason or "validation failed")


def _aggregate(
    aggregate: Callable[[list[Any]], dict[str, Any]] | None, results: list[Any]
) -> dict[str, Any]:
    if aggregate is not None:
        return dict(aggregate(results))
    numbers = [float(result) for result in results if isinstance(result, (int, float))]
    return {"combined_score": sum(numbers) / len(numbers) if numbers else 0.0}


def _write(folder: Path, metrics: dict[str, Any], error: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(metrics, default=_plain)
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    correct = {"correct": error is None, "error": error}
    (folder / "correct.json").write_text(json.dumps(correct), encoding="utf-8")


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return float(value) if hasattr(value, "__float__") else str(value)
