"""Runs inside the sandbox: calls another tool's evaluator on the candidate, answers plain data.

Standard library only, and nothing of breeder: the sandbox sees this file and the shims alone.
"""

import asyncio
import contextlib
import importlib.util
import inspect
import json
import math
import os
import runpy
import shutil
import sys
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_HERE = Path(__file__).resolve().parent
_FOLDER = _HERE.parent
_CANDIDATE = _FOLDER / "_candidate"
_RESULTS = _FOLDER / "_results"
# A name of its own, as both tools give it: evaluators import the candidate by the name of its
# file, and may import the initial program by its name for comparison.
_MODULE = "candidate_program"

_started: list[str] = []


def openevolve(
    main: str, files: Mapping[str, str], evaluator: str, steps: Sequence[Any]
) -> dict[str, Any]:
    """Score the candidate with an OpenEvolve evaluator.

    Later stages add to what earlier ones reported, and the score is `combined_score` or else the
    mean of the numbers, without flags: the rules of OpenEvolve's own cascade.

    Args:
        main: the evolved file that the evaluator is given.
        files: path -> text of every evolved file.
        evaluator: path of the evaluator in the folder.
        steps: [function, lowest score to go on or None] in order.

    Returns:
        A mapping with `metrics` (numbers), `score`, `artifacts` (texts) and `error` (text or None).
    """
    path = _prepare(main, files, evaluator)
    module = _load(_FOLDER / evaluator)
    reported: dict[str, Any] = {}
    artifacts: dict[str, str] = {}
    said = ""
    for number, (function, threshold) in enumerate(steps):
        answer = getattr(module, function)(str(path))
        if inspect.isawaitable(answer):
            answer = asyncio.run(_await(answer))
        metrics = getattr(answer, "metrics", answer)
        if not isinstance(metrics, dict):
            raise TypeError(f"{function} returned {type(answer).__name__}, not a dict of metrics")
        told = {**_split(metrics)[1], **_texts(getattr(answer, "artifacts", {}))}
        artifacts.update(told)
        if isinstance(metrics.get("metrics"), dict):
            # The shape of EvaluationResult as a dict; evaluators answer it for failed programs.
            metrics = metrics["metrics"]
        words = metrics.get("error", told.get("error"))
        said = words if isinstance(words, str) else said
        reported = {**_plain(reported), **_plain(metrics)} if number else metrics
        if threshold is not None and not _passes(reported, threshold):
            break
    score = _score(reported)
    # An error in words beside a score of zero is a program that failed, not a poor one.
    error = f"the evaluator reports an error: {said}" if said and not score else None
    return _report(_split(reported)[0], score, artifacts, error)


def shinka(
    main: str, files: Mapping[str, str], evaluator: str, _steps: Sequence[Any]
) -> dict[str, Any]:
    """Score the candidate with a ShinkaEvolve evaluate.py, run as its own main program.

    Arguments and answer as for `openevolve`; `error` is set when it says the program is incorrect.
    """
    path = _prepare(main, files, evaluator)
    _RESULTS.mkdir(exist_ok=True)
    arguments = ["--program_path", str(path), "--results_dir", str(_RESULTS)]
    sys.argv = [str(_FOLDER / evaluator), *arguments]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        # Some leave with the verdict as their status, after they wrote their results.
        if end.code not in (None, 0) and not (_RESULTS / "correct.json").is_file():
            raise RuntimeError(f"{evaluator} left with status {end.code}") from None
    reported = _read_json("metrics.json")
    correct = _read_json("correct.json")
    metrics, artifacts = _split(reported.get("public") or {})
    score = _number(reported.get("combined_score"))
    if reported.get("text_feedback"):
        artifacts["feedback"] = str(reported["text_feedback"])
    error = None
    if not correct.get("correct"):
        error = str(correct.get("error") or "the evaluator reports it as incorrect")
    return _report(metrics, score, artifacts, error)


def _prepare(main: str, files: Mapping[str, str], evaluator: str) -> Path:
    candidate = ""
    for name, text in files.items():
        path = _CANDIDATE / name
        if name == main:
            path = path.with_name(_MODULE + path.suffix)
            candidate = str(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    folders = dict.fromkeys((str((_FOLDER / evaluator).parent), str(_FOLDER)))
    added = [*folders, str(_HERE / "shims")]
    sys.path[:0] = added
    # Evaluators of the subprocess kind start interpreters, which need the shims as well.
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*added, *([known] if known else [])])
    os.chdir(_FOLDER)
    sys.addaudithook(_note_start)
    return Path(candidate)


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


def _note_start(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        with contextlib.suppress(TypeError):
            _started.append(os.fsdecode(arguments[0]))


def _report(
    metrics: Mapping[str, float],
    score: float | None,
    artifacts: Mapping[str, str],
    error: str | None,
) -> dict[str, Any]:
    # Evaluators turn a compiler that is not there into a score of zero, for every program.
    absent = sorted({name for name in _started if os.sep not in name and not shutil.which(name)})
    nothing = score is None or score == 0 or not math.isfinite(score)
    if absent and (error is not None or nothing):
        reason = f"no {' and no '.join(absent)} in the sandbox, which has {os.environ.get('PATH')}"
        error = f"{error}; {reason}" if error else reason
    return {"metrics": metrics, "score": score, "artifacts": artifacts, "error": error}


def _plain(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and name != "error"
    }


def _passes(metrics: Mapping[str, Any], threshold: float) -> bool:
    score = metrics.get("combined_score")
    if isinstance(score, (int, float)):
        return float(score) >= threshold
    numbers = _plain(metrics).values()
    return bool(numbers) and sum(numbers) / len(numbers) >= threshold


def _score(metrics: Mapping[str, Any]) -> float | None:
    combined = _number(metrics.get("combined_score"))
    if combined is not None:
        return combined
    numbers = [
        float(value)
        for value in metrics.values()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return sum(numbers) / len(numbers) if numbers else None


def _split(values: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Numbers, and texts of all else: an infinite error beside a score is no number to keep."""
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in values.items():
        number = _number(value)
        if number is not None and math.isfinite(number):
            numbers[str(name)] = number
        elif name == "artifacts" and isinstance(value, Mapping):
            texts.update(_texts(value))
        elif name not in ("combined_score", "metrics"):
            texts[str(name)] = str(value)
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


def _read_json(name: str) -> dict[str, Any]:
    path = _RESULTS / name
    if not path.is_file():
        raise RuntimeError(f"the evaluator wrote no {name}")
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise RuntimeError(f"the evaluator's {name} holds no object")
    return data
