"""The cascade: evaluate functions in order, cheap ones first, each with a bound to pass on."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from breeder.core import Failure, FailureKind
from breeder.errors import BreederError
from breeder.evaluation import wire
from breeder.evaluation.candidate import Candidate, InvalidAnswerError, Result
from breeder.evaluation.protocol import Stage, Threshold
from breeder.evaluation.sandbox import CandidateFailedError
from breeder.evaluation.scoring import ContractBreachError, clean, result_of

MAX_CONSTRUCTION_BYTES = 16 * 1024 * 1024
_MAX_DETAIL = 2_000

EvaluateFunction = Callable[[Candidate], Any]


class StagedCandidate(Candidate, Protocol):
    """A candidate whose limits count anew from each stage on."""

    def begin_stage(self, cpu_seconds: float, wall_seconds: float) -> None:
        """Allow the candidate this much from now on, over all its calls together."""
        ...


@dataclass(slots=True)
class Verdict:
    """What the stages came to.

    Attributes:
        metrics: of all stages that were run, later ones winning.
        failure: why it stopped, or None.
        breach: one line when the evaluator, not the candidate, is at fault; `failure` is set too.
        construction: MessagePack bytes of the last construction that a stage gave.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    breach: str = ""
    stage: str = ""
    stages_run: int = 0
    artifacts: dict[str, str] = field(default_factory=dict)
    construction: bytes | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


class Cascade:
    """Runs the stages of a task on a candidate and judges what they report.

    Args:
        folder: the task folder, to name the line of the evaluator that raised.
        evaluator: the evaluator's file name, for messages.
        functions: function name -> the evaluator's function.
    """

    def __init__(
        self, folder: Path, evaluator: str, functions: Mapping[str, EvaluateFunction]
    ) -> None:
        self._folder = folder
        self._evaluator = evaluator
        self._functions = functions

    def run(
        self,
        candidate: StagedCandidate,
        stages: Sequence[Stage],
        *,
        constraints: Sequence[Threshold] = (),
        required: Sequence[str] = (),
        parent: Mapping[str, float] | None = None,
    ) -> Verdict:
        """Run `stages` in order until one stops the candidate, then check the constraints.

        Args:
            candidate: what the stages are given.
            stages: at least one.
            constraints: bounds that only the end result must keep.
            required: metrics that the stages must report between them.
            parent: metrics of the program's parent, where it has one.

        Raises:
            BreederError: whatever the evaluator raised of ours (no compiler, no sandbox).
        """
        verdict = Verdict()
        for stage in stages:
            self._run_stage(candidate, stage, verdict)
            if verdict.failure is None and stage.threshold is not None:
                self._judge(stage.threshold, verdict, FailureKind.THRESHOLD)
            if verdict.failure is None and stage.distinct and stage is not stages[-1]:
                verdict.failure = _neutral(stage, verdict.metrics, parent or {})
            if verdict.failure is not None:
                return verdict
        for name in required:
            if verdict.failure is None and name not in verdict.metrics:
                self._blame_evaluator(verdict, f"the metric {name!r} of an objective is missing")
        for constraint in constraints:
            self._judge(constraint, verdict, FailureKind.CONSTRAINT)
        return verdict

    def _run_stage(self, candidate: StagedCandidate, stage: Stage, verdict: Verdict) -> None:
        verdict.stage = stage.name
        verdict.stages_run += 1
        candidate.begin_stage(stage.cpu_seconds, stage.wall_seconds)
        try:
            result = result_of(self._functions[stage.function](candidate), stage.function)
            self._take(result, stage, verdict)
        except CandidateFailedError as error:
            verdict.failure = dataclasses.replace(
                error.failure, stage=stage.name, detail=clean(error.failure.detail)[:_MAX_DETAIL]
            )
        except InvalidAnswerError as error:
            detail = clean(str(error))[:_MAX_DETAIL]
            verdict.failure = Failure(FailureKind.INVALID, detail, stage.name)
        except ContractBreachError as error:
            self._blame_evaluator(verdict, str(error))
        except (BreederError, KeyboardInterrupt):
            raise
        except BaseException as error:
            # SystemExit too: an evaluator that calls sys.exit must not end its process.
            _blame(verdict, where(error, self._folder, self._evaluator))

    def _take(self, result: Result, stage: Stage, verdict: Verdict) -> None:
        verdict.metrics.update(result.metrics)
        verdict.artifacts.update(result.artifacts)
        verdict.intervals.update(result.intervals)
        if result.construction is None:
            return
        try:
            construction = wire.encode(result.construction)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ContractBreachError(
                f"{stage.function} gave a construction that is not plain data: {error}"
            ) from None
        if len(construction) > MAX_CONSTRUCTION_BYTES:
            raise ContractBreachError(
                f"{stage.function} gave a construction of {len(construction)} bytes; "
                f"at most {MAX_CONSTRUCTION_BYTES} are kept"
            )
        verdict.construction = construction

    def _judge(self, bound: Threshold, verdict: Verdict, kind: FailureKind) -> None:
        if verdict.failure is not None:
            return
        if bound.metric not in verdict.metrics:
            known = ", ".join(sorted(verdict.metrics)) or "none"
            self._blame_evaluator(
                verdict, f"the metric {bound.metric!r} of a {kind} is missing; known: {known}"
            )
            return
        broken = bound.broken_by(verdict.metrics[bound.metric])
        if broken:
            verdict.failure = Failure(kind, broken, verdict.stage)

    def _blame_evaluator(self, verdict: Verdict, problem: str) -> None:
        _blame(verdict, f"{self._evaluator}: {problem}")


def _neutral(
    stage: Stage, metrics: Mapping[str, float], parent: Mapping[str, float]
) -> Failure | None:
    """Whether a program has done just what its parent did, as far as all metrics tell."""
    if not metrics or any(parent.get(name) != value for name, value in metrics.items()):
        return None
    shown = ", ".join(f"{name} = {value:.6g}" for name, value in metrics.items())
    return Failure(FailureKind.NEUTRAL, f"no different from its parent: {shown}", stage.name)


def _blame(verdict: Verdict, line: str) -> None:
    verdict.breach = clean(line)[:_MAX_DETAIL]
    verdict.failure = Failure(FailureKind.EVALUATOR, verdict.breach, verdict.stage)


def where(error: BaseException, folder: Path, evaluator: str) -> str:
    """Return one line on an exception: the innermost line inside `folder`, type and text.

    Args:
        error: what was raised.
        folder: the task folder.
        evaluator: the file that is named when no line inside `folder` was involved.
    """
    text = str(error).strip().splitlines()
    shown = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return (
            f"{Path(error.filename).name}: line {error.lineno}: {type(error).__name__}: {error.msg}"
        )
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    if not inside:
        return f"{evaluator}: {shown}"
    last = inside[-1]
    function = "" if last.name == "<module>" else f", in {last.name}"
    return f"{Path(last.filename).relative_to(folder)}: line {last.lineno}{function}: {shown}"
