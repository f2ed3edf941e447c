"""Other tools' evaluators: run whole inside the sandbox, together with the candidate they score.

Their contract hands the evaluator a path and believes what it reports, so the number is computed
where the candidate can reach it. Such evaluations are labelled self-reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from breeder.core import Failure, FailureKind
from breeder.errors import TaskError
from breeder.evaluation.candidate import Candidate, Result
from breeder.evaluation.cascade import EvaluateFunction
from breeder.evaluation.foreign_imports import require_imports
from breeder.evaluation.protocol import Plan, ProgramPlan, Stage
from breeder.evaluation.sandbox import CandidateFailedError

FUNCTION = "evaluate"
MAX_FOLDER_BYTES = 64 * 1024 * 1024

_HERE = Path(__file__).parent
_SHIMS = _HERE / "shims"
_OURS = "_breeder"  # the folder of the adapter and the shims beside the task's own files
_ADAPTER = f"{_OURS}/foreign_adapter.py"
_SKIPPED = {"__pycache__", "node_modules", "openevolve_output", "results", "venv"}
_SCORE = "combined_score"


def program(plan: Plan) -> ProgramPlan:
    """How the adapter is run: as a Python program that imports the foreign evaluator."""
    return ProgramPlan(main=_ADAPTER, mode="python", support={}, functions={})


def support_files(plan: Plan) -> dict[str, str | bytes]:
    """The task folder's files with the adapter and the shims, path -> content.

    Raises:
        TaskError: the folder is larger than `MAX_FOLDER_BYTES`, or imports what is not installed.
    """
    files: dict[str, str | bytes] = {}
    total = 0
    folder = Path(plan.folder)
    for path in _walk(folder):
        total += path.stat().st_size
        if total > MAX_FOLDER_BYTES:
            raise TaskError(
                str(folder), "", f"holds more than {MAX_FOLDER_BYTES >> 20} MiB", "remove outputs"
            )
        files[str(path.relative_to(folder))] = path.read_bytes()
    shims = {str(path.relative_to(_SHIMS)): path.read_text() for path in _SHIMS.rglob("*.py")}
    require_imports(files, (plan.evaluator, plan.program.main), sorted(map(_dotted, shims)))
    files[_ADAPTER] = (_HERE / "foreign_adapter.py").read_text()
    files.update({f"{_OURS}/shims/{name}": text for name, text in sorted(shims.items())})
    return files


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def stage(plan: Plan) -> Stage:
    """One stage that stands for all of theirs, with their time limits added up."""
    return Stage(
        "evaluate",
        FUNCTION,
        sum(stage.cpu_seconds for stage in plan.stages),
        sum(stage.wall_seconds for stage in plan.stages),
    )


def evaluate_function(plan: Plan) -> EvaluateFunction:
    """Return the function that scores a candidate by the foreign evaluator's own report."""
    steps = [
        [stage.function, None if stage.threshold is None else stage.threshold.at_least]
        for stage in plan.stages
    ]
    main = plan.program.main

    def evaluate(candidate: Candidate) -> Result:
        report = candidate.call(plan.kind, main, candidate.files, plan.evaluator, steps)
        return _result(report)

    return evaluate


def _walk(folder: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(folder):
        names[:] = sorted(n for n in names if n not in _SKIPPED and not n.startswith("."))
        for name in sorted(files):
            path = Path(directory) / name
            if not name.startswith(".") and path.is_file():
                yield path


class _Report(msgspec.Struct, frozen=True):
    """What the adapter answers; made where the candidate runs, hence checked like any answer."""

    metrics: dict[str, float]
    artifacts: dict[str, str]
    score: float | None = None
    error: str | None = None


def _result(answer: Any) -> Result:
    try:
        report = msgspec.convert(answer, _Report)
    except msgspec.ValidationError as error:
        raise CandidateFailedError(
            Failure(FailureKind.PROTOCOL, f"the evaluator's report is not usable: {error}")
        ) from None
    if report.error is not None:
        raise CandidateFailedError(Failure(FailureKind.INVALID, report.error))
    if report.score is None:
        raise CandidateFailedError(Failure(FailureKind.INVALID, "the evaluator gave no score"))
    return Result({**report.metrics, _SCORE: report.score}, report.artifacts)
