"""The contract of an executor: it evaluates programs somewhere and says what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from breeder.core import Evaluation, Program

Split = Literal["search", "held_out", "confirm", "verify"]


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation to run.

    Attributes:
        program: what to evaluate.
        split: `search` runs the cascade of stages; the others run one function alone: the held-out
            one, the one that confirms champions of measured tasks, the one that verifies.
        construction: MessagePack bytes handed to the candidate as the best artefact so far.
        seed: seed for evaluator and candidate; equal jobs give equal metrics for exact tasks.
        to_beat: what matters of a measured metric, see `Candidate.to_beat`.
        bounds: stage -> what its metric must reach beyond the task's own threshold.
        parent: metrics of the program's parent, for stages that ask for a difference.
    """

    program: Program
    split: Split = "search"
    construction: bytes | None = None
    seed: int = 0
    to_beat: float | None = None
    bounds: Mapping[str, float] = field(default_factory=dict)
    parent: Mapping[str, float] = field(default_factory=dict)


class Executor(Protocol):
    """Evaluates programs, up to `slots` at a time.

    Guarantees:
        * what the candidate did wrong comes back as `Evaluation.failure`, whatever it did;
        * what the evaluator or the machine did wrong is raised: `EvaluatorError` when the task's
          evaluate.py cannot be loaded or breaks its contract on its own, `SandboxUnavailableError`
          when there is no sandbox; a lost evaluator process is restarted and the job repeated once;
        * cancelling an `evaluate` kills the candidate and keeps the slot usable;
        * after `close` no process is left; if this process is killed, none is left either.
    """

    @property
    def slots(self) -> int:
        """How many evaluations run at the same time."""
        ...

    async def start(self) -> None:
        """Start at least one slot and load the evaluator in it; the others may wait for work."""
        ...

    async def evaluate(self, job: Job) -> Evaluation:
        """Run one job; waits for a free slot."""
        ...

    async def baselines(self, split: Split) -> Mapping[str, Mapping[str, float]]:
        """Metrics of the task's own baselines on a split; empty when the task states none."""
        ...

    async def check_construction(self, construction: bytes) -> Mapping[str, float]:
        """The metrics that a construction earns, computed from nothing but itself.

        Raises:
            InvalidConstructionError: it breaks the rules; says how.
            EvaluatorError: the task has no function for it, or that function is at fault.
        """
        ...

    async def close(self) -> None:
        """Stop every slot. Safe to call twice."""
        ...
