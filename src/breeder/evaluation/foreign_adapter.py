"""Runs inside the sandbox: calls another tool's evaluator on the candidate, answers plain data.

Standard library only, and nothing of breeder: the sandbox sees this file and the shims alone.
"""

import asyncio
import importlib.util
import inspect
import json
import os
import runpy
import sys
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_HERE = Path(__file__).resolve().parent
_FOLDER = _HERE.parent
_CANDIDATE = _FOLDER / "_candidate"
_RESULTS = _FOLDER / "_results"


def openevolve(
    main: str, files: Mapping[str, str], evaluator: str, steps: Sequence[Any]
) -> dict[str, Any]:
    """Score the candidate with an OpenEvolve evaluator.

    Args:
        main: the evolved file that the evaluator is given.
        files: path -> text of every evolved file.
        evaluator: file name of the evaluator.
        steps: [function, lowest score to go on or None] in order.

    Returns:
        A mapping with `metrics` (numbers), `artifacts` (texts) and `error` (text or None).
    """
    path = _prepare(main, files)
    module = _load(_FOLDER / evaluator)
    metrics: dict[str, float] = {}
    artifacts: dict[str, str] = {}
    for function, threshold in steps:
        answer = getattr(module, function)(str(path))
        if inspect.isawaitable(answer):
            answer = asyncio.run(_await(answer))
        stage_metrics = getattr(answer, "metrics", answer)
        if not isinstance(stage_metrics, dict):
            raise TypeError(f"{function} returned {type(answer).__name__}, not a dict of metrics")
        numbers, texts = _split(stage_metrics)
        metrics.update(numbers)
        artifacts.update(texts)
        artifacts.update(_texts(getattr(answer, "artifacts", {})))
        if threshold is not None and _score(numbers) < threshold:
            break
    return {"metrics": metrics, "artifacts": artifacts, "error": None}


def shinka(
    main: str, files: Mapping[str, str], evaluator: str, _steps: Sequence[Any]
) -> dict[str, Any]:
    """Score the candidate with a ShinkaEvolve evaluate.py, run as its own main program.

    Arguments and answer as for `openevolve`; `error` is set when it says the program is incorrect.
    """
    path = _prepare(main, files)
    _RESULTS.mkdir(exist_ok=True)
    arguments = ["--program_path", str(path), "--results_dir", str(_RESULTS)]
    sys.argv = [str(_FOLDER / evaluator), *arguments]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            raise RuntimeError(f"{evaluator} left with status {end.code}") from None
    reported = _read_json("metrics.json")
    correct = _read_json("correct.json")
    metrics, artifacts = _split(reported.get("public") or {})
    if "combined_score" in reported:
        metrics.update(_split({"combined_score": reported["combined_score"]})[0])
    if reported.get("text_feedback"):
        artifacts["feedback"] = str(reported["text_feedback"])
    error = None
    if not correct.get("correct"):
        error = str(correct.get("error") or "the evaluator reports it as incorrect")
    return {"metrics": metrics, "artifacts": artifacts, "error": error}


def _prepare(main: str, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = _CANDIDATE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shims = str(_HERE / "shims")
    sys.path[:0] = [str(_FOLDER), shims]
    # Evaluators of the subprocess kind start interpreters, which need the shims as well.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_FOLDER), shims])
    os.chdir(_FOLDER)
    return _CANDIDATE / main


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("evaluation_module", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["evaluation_module"] = module
    spec.loader.exec_module(module)
    return module


async def _await(answer: Awaitable[Any]) -> Any:
    return await answer


def _split(values: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in values.items():
        number = _number(value)
        if number is None:
            texts[str(name)] = str(value)
        else:
            numbers[str(name)] = number
    return numbers, texts


def _number(value: Any) -> float | None:
    # numpy scalars have __float__ as well; strings and lists have not.
    if not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _texts(artifacts: Mapping[str, Any] | None) -> dict[str, str]:
    return {
        str(name): value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for name, value in (artifacts or {}).items()
    }


def _score(numbers: Mapping[str, float]) -> float:
    if "combined_score" in numbers:
        return numbers["combined_score"]
    return sum(numbers.values()) / len(numbers) if numbers else 0.0


def _read_json(name: str) -> dict[str, Any]:
    path = _RESULTS / name
    if not path.is_file():
        raise RuntimeError(f"the evaluator wrote no {name}")
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise RuntimeError(f"the evaluator's {name} holds no object")
    return data
