"""`run_shinka_eval`: our own small implementation of the call that ShinkaEvolve evaluators make."""

import importlib.util
import json
import math
import pickle
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_ON_ERROR = {
    "combined_score": 0.0,
    "execution_time_mean": 0.0,
    "execution_time_std": 0.0,
    "num_successful_runs": 0,
    "num_valid_runs": 0,
    "num_invalid_runs": 0,
    "all_validation_errors": [],
}


def run_shinka_eval(
    program_path: str,
    results_dir: str,
    experiment_fn_name: str,
    num_runs: int = 1,
    get_experiment_kwargs: Callable[[int], dict[str, Any]] | None = None,
    aggregate_metrics_fn: Callable[[list[Any]], dict[str, Any]] | None = None,
    validate_fn: Callable[[Any], Any] | None = None,
    **settings: Any,
) -> tuple[dict[str, Any], bool, str | None]:
    """Run an experiment function of a program several times and write what came of it.

    Plots are not drawn, and every run is carried out, one after the other: early stopping and
    parallel runs are ways to save time that do not change what is measured.

    Args:
        program_path: Python file of the candidate.
        results_dir: folder for metrics.json and correct.json.
        experiment_fn_name: function of the candidate to call.
        num_runs: number of calls.
        get_experiment_kwargs: run index -> keyword arguments of the call; else `seed`, from 1 on.
        aggregate_metrics_fn: list of results -> metrics with `combined_score`.
        validate_fn: result -> (valid, reason) or a truth value.
        settings: `default_metrics_on_error` is used when the program raises; others are ignored.

    Returns:
        (metrics, whether every run was valid, the first error or None).
    """
    results: list[Any] = []
    objections: list[str] = []
    seconds: list[float] = []
    try:
        experiment = _experiment(program_path, experiment_fn_name)
        for index in range(num_runs):
            arguments = (
                get_experiment_kwargs(index) if get_experiment_kwargs else {"seed": index + 1}
            )
            begin = time.perf_counter()
            results.append(experiment(**arguments))
            seconds.append(time.perf_counter() - begin)
            objections += _objections(validate_fn, results[-1])
        metrics = _metrics(aggregate_metrics_fn, results)
        metrics["execution_time_mean"] = statistics.fmean(seconds) if seconds else 0.0
        metrics["execution_time_std"] = statistics.pstdev(seconds) if seconds else 0.0
        if validate_fn is not None:
            metrics["num_valid_runs"] = len(results) - len(objections)
            metrics["num_invalid_runs"] = len(objections)
            metrics["all_validation_errors"] = list(dict.fromkeys(objections))
        error = f"Validation failed: {objections[0]}" if objections else _not_finite(metrics)
    except Exception as problem:
        traceback.print_exc()
        metrics = {**_ON_ERROR, **(settings.get("default_metrics_on_error") or {})}
        error = f"{type(problem).__name__}: {problem}"
    _write(Path(results_dir), metrics, error)
    return metrics, error is None, error


def _write(folder: Path, metrics: dict[str, Any], error: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if "extra_data" in metrics:
        (folder / "extra.pkl").write_bytes(pickle.dumps(metrics.pop("extra_data")))
    text = json.dumps(metrics, default=_plain)
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    verdict = json.dumps({"correct": error is None, "error": error})
    (folder / "correct.json").write_text(verdict, encoding="utf-8")


def _experiment(program_path: str, name: str) -> Callable[..., Any]:
    folder = str(Path(program_path).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _load(program_path)
    if not hasattr(module, name):
        raise AttributeError(f"the program has no function {name!r}, which the evaluator calls")
    function: Callable[..., Any] = getattr(module, name)
    return function


def _load(program_path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("program", program_path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{program_path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _objections(validate: Callable[[Any], Any] | None, result: Any) -> list[str]:
    if validate is None:
        return []
    verdict = validate(result)
    valid, reason = verdict if isinstance(verdict, tuple) else (verdict, None)
    return [] if valid else [str(reason or "no reason given")]


def _metrics(
    aggregate: Callable[[list[Any]], dict[str, Any]] | None, results: list[Any]
) -> dict[str, Any]:
    if aggregate is not None:
        return dict(aggregate(results))
    return {"num_successful_runs": len(results), "raw_results_preview": str(results[:2])}


def _not_finite(metrics: dict[str, Any]) -> str | None:
    score = metrics.get("combined_score")
    return None if score is None or math.isfinite(score) else f"combined_score is {score}"


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return float(value) if hasattr(value, "__float__") else str(value)
