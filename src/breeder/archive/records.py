"""The rows of the store as values; columns are explained in schema.sql."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from breeder.core import Evaluation, Placement


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The `run` row. Fields as in schema.sql; JSON columns as text."""

    breeder_version: str
    task_name: str
    task_kind: str
    task_folder: str
    task_digest: str
    task_json: str
    config_json: str
    sandbox: str
    trusted: bool
    machine_json: str
    started_at: str
    finished_at: str | None = None
    status: str = "running"
    detail: str = ""
    elapsed: float = 0.0
    engine_cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One evaluation as stored. `id` is 0 before it is recorded."""

    program_id: str
    evaluation: Evaluation
    split: str = "search"
    draw: int = -1
    island: int = -1
    fitness: float | None = None
    placement: Placement = Placement.REJECTED
    gain: float = 0.0
    elapsed: float = 0.0
    id: int = 0


@dataclass(frozen=True, slots=True)
class BaselineRecord:
    """One row of `baseline`."""

    name: str
    kind: str
    split: str
    metrics: Mapping[str, float]
    fitness: float | None
    cpu_seconds: float = 0.0
    evaluations: int = 0


@dataclass(frozen=True, slots=True)
class PlacedRecord:
    """What placing needs of a successful search evaluation: no texts, no construction."""

    id: int
    program_id: str
    size: int
    island: int
    fitness: float
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


class ChallengeOutcome(StrEnum):
    """What became of a challenge."""

    OPEN = "open"  # its race is not over
    CONFIRMED = "confirmed"  # it became champion
    REFUTED = "refuted"  # fresh samples did not show it to be better, or it failed on them
    LAPSED = "lapsed"  # of earlier versions: overtaken before its first heat


@dataclass(frozen=True, slots=True)
class ChallengeRecord:
    """One row of `challenge`; values are in units of the measured metric."""

    number: int
    evaluation: int
    outcome: ChallengeOutcome = ChallengeOutcome.OPEN
    against: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    heats: int = 0
    decided: int | None = None
    elapsed: float = 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of `value`; None where there is no value."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def revise(self, evaluation: Evaluation, metric: str) -> Evaluation | None:
        """The search evaluation with the pooled value in place of the one it challenged by.

        None where a heat failed: what the search saw of this program does not hold.
        """
        if self.value is None or self.interval is None:
            return None
        return replace(
            evaluation,
            metrics={**evaluation.metrics, metric: self.value},
            intervals={**evaluation.intervals, metric: self.interval},
        )
