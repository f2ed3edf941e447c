"""The vocabulary of measuring: what was spent, what is compared, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

Clock = Literal["cpu", "wall"]


class Spent(NamedTuple):
    """What some work used, in seconds: CPU time of all its threads, and elapsed time."""

    cpu_seconds: float
    wall_seconds: float


Work = Callable[[], Spent]
"""Does its work once, on inputs of its own choosing, and says what the work itself used."""


class Verdict(StrEnum):
    """What a comparison came to, at its stated error level."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_DIFFERENCE = "no difference"  # any difference is below the margin that was asked for
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much faster a candidate is than a baseline.

    Attributes:
        ratio: baseline time over candidate time: above 1 the candidate is faster.
        low, high: interval of the ratio at level 1 - error that holds at whatever moment the
            measuring stopped.
        fixed_low, fixed_high: interval at the same level for a sample size fixed beforehand;
            narrower, and only to be quoted when `stopped` says that every pair asked for was taken.
        verdict: the decision, taken on `low` and `high`.
        stopped: why measuring ended, in words.
        clock: which clock decided; both are recorded.
        note: what the reader must know (a crowded machine, a clock that was changed); may be empty.
        pairs: number of pairs (one baseline and one candidate sample, in random order).
        baseline_seconds, candidate_seconds: every sample in the order of the pairs.
        error: probability of a wrong "faster" or "slower", over all looks together.
        margin: relative difference below which "no difference" is said.
        against: the ratio that was compared with; 1 unless a value to beat was given.
    """

    ratio: float
    low: float
    high: float
    fixed_low: float
    fixed_high: float
    verdict: Verdict
    stopped: str
    clock: Clock
    note: str
    pairs: int
    baseline_seconds: tuple[Spent, ...]
    candidate_seconds: tuple[Spent, ...]
    error: float
    margin: float
    against: float = 1.0
