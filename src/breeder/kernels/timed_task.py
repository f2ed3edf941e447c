"""What all timed kernel tasks share: stages, confirmation, held-out shapes, verification.

A task gives its kernels (inputs and float64 reference) and its cases; `docs/kernels.md` builds one
step by step. The folder's first file is the start, which every program is timed beside.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from breeder.evaluation import Candidate, Result
from breeder.kernels.cases import Cases, Some
from breeder.kernels.inputs import Inputs
from breeder.kernels.kernel import Kernel
from breeder.kernels.record import Effort
from breeder.kernels.trial import Trial, TrialResult


@dataclass(frozen=True, slots=True)
class Efforts:
    """How much each step of a task measures.

    Attributes:
        quick: the glance of the first stage.
        search: the score.
        confirm: one heat of a challenger.
        verify: held-out shapes, for the verdict and for a verification.
    """

    quick: Effort
    search: Effort
    confirm: Effort
    verify: Effort

    @classmethod
    def usual(cls, footprint_mib: float) -> Efforts:
        """What the timed tasks take, with batches of `footprint_mib`.

        A score is for telling programs apart that differ by more than a few per cent, and may err:
        three of four intervals hold the true value. Starting both programs costs more than timing
        them, so there are few rounds. What is believed is measured when challengers are confirmed,
        and at full length in the end.
        """
        return cls(
            quick=Effort(rounds=2, least=2, footprint_mib=footprint_mib, batch_seconds=0.005),
            search=Effort(
                rounds=4, least=4, footprint_mib=footprint_mib, batch_seconds=0.005, error=0.25
            ),
            confirm=Effort(rounds=16, footprint_mib=footprint_mib, batch_seconds=0.01),
            verify=Effort(rounds=48, footprint_mib=footprint_mib, checked=2),
        )


@dataclass(frozen=True, slots=True)
class Contrast(Generic[Some]):
    """A feature for the archive: the gain on some cases over the gain on the others.

    Attributes:
        name: of the metric.
        first: tells which cases stand above the line.
    """

    name: str
    first: Callable[[Some], bool]

    def of(self, logs: Sequence[float], shapes: Sequence[Some]) -> float:
        """Ratio of the two geometric means of exp(`logs`); 1 where all cases are of one kind."""
        above = [x for x, case in zip(logs, shapes, strict=True) if self.first(case)]
        below = [x for x, case in zip(logs, shapes, strict=True) if not self.first(case)]
        if not above or not below:
            return 1.0
        return math.exp(sum(above) / len(above) - sum(below) / len(below))


class TimedTask(Generic[Some]):
    """The functions that a kernel task's evaluate.py hands to the engine.

    Assign the bound methods to the names that task.toml uses: `quick` (metric `quick_speedup`),
    `evaluate`, `confirm`, `evaluate_held_out` and `verify` (metric `speedup`, with its interval).

    Args:
        folder: of the task; its first evolved file is the start.
        kernels: name of a function of the program -> what it must do. Cases name theirs; with one
            function they need not.
        cases: see `Cases`.
        contrast: a feature of programs.
        footprint_mib: arrays of one batch together, see `Effort`.
    """

    def __init__(
        self,
        folder: Path,
        kernels: Mapping[str, Kernel[Some]],
        cases: Cases[Some],
        contrast: Contrast[Some],
        footprint_mib: float = 1.5,
    ) -> None:
        self.kernels, self.cases, self.contrast = dict(kernels), cases, contrast
        self.efforts = Efforts.usual(footprint_mib)
        text = (folder / "task.toml").read_text(encoding="utf-8")
        names = tomllib.loads(text)["program"]["files"]
        self.start = {name: (folder / name).read_text(encoding="utf-8") for name in names}

    def kernel(self, case: Some) -> Kernel[Some]:
        """What a case calls."""
        return self.kernels[case.function] if case.function else next(iter(self.kernels.values()))

    def trial(self, candidate: Candidate) -> Trial[Some]:
        """The candidate beside the start."""
        return Trial(candidate, candidate.beside(self.start), self.kernel)

    def quick(self, candidate: Candidate) -> Result:
        """First stage: small, odd and extreme inputs, then a glance at the speed."""
        on_trial = self.trial(candidate)
        on_trial.check(self.cases.quick)
        result = on_trial.compare(self.cases.glance, self.efforts.quick)
        return Result({"quick_speedup": result.ratio})

    def evaluate(self, candidate: Candidate) -> Result:
        """Second stage: all training shapes, until it is clear whether the champion is beaten."""
        return self._compared(candidate, self.cases.search, self.efforts.search)

    def confirm(self, candidate: Candidate) -> Result:
        """A challenger on fresh samples; every input is fresh anyway."""
        return self._compared(candidate, self.cases.search, self.efforts.confirm)

    def evaluate_held_out(self, candidate: Candidate) -> Result:
        """Shapes that the search never timed."""
        result = self.trial(candidate).compare(self.cases.held_out, self.efforts.verify)
        return self.scored(result, self.cases.held_out)

    def verify(self, candidate: Candidate) -> Result:
        """Every case checked in a fresh process, then the held-out ones timed from scratch."""
        on_trial = self.trial(candidate)
        on_trial.check(self.cases.everything(Inputs().rng))
        result = on_trial.compare(self.cases.held_out, self.efforts.verify)
        return self.scored(result, self.cases.held_out)

    def scored(self, result: TrialResult, cases: Sequence[Some]) -> Result:
        """The speed-up with its interval, the contrast, and a table of shapes."""
        logs = [math.log(one.ratio) for one in result.shapes]
        return Result(
            {"speedup": result.ratio, self.contrast.name: self.contrast.of(logs, cases)},
            {"shapes": result.table()},
            intervals={"speedup": result.interval},
        )

    def _compared(self, candidate: Candidate, cases: Sequence[Some], effort: Effort) -> Result:
        result = self.trial(candidate).compare(cases, effort, candidate.to_beat)
        return self.scored(result, cases)
