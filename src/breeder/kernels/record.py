"""The rounds of a trial as they come in, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from breeder.measurement import Clock, Comparison, ConfidenceSequence, Spent, Verdict, estimate

_CLIP = math.log(1e3)
"""Bounds of an interval are cut to a thousandfold: what is reported must be a finite number."""

_TICK = 1e-9
"""Shortest time, in seconds, so that its logarithm exists."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a comparison may take.

    Attributes:
        rounds: most passes over all shapes.
        least: passes before the first decision. No interval is finite before the twelfth.
        footprint_mib: arrays of one batch together; decides which cache they are served from.
        batch_seconds: CPU seconds of the baseline that a batch should not exceed.
        checked: calls of each batch whose outputs and inputs are checked, chosen after the run.
        error: bound on the probability of a wrong verdict, over all looks together.
        margin: relative difference below which there is none.
        clock: which clock decides: CPU time, or elapsed time where threads are to count.
    """

    rounds: int = 40
    least: int = 12
    footprint_mib: float = 4.0
    batch_seconds: float = 0.02
    checked: int = 1
    error: float = 0.05
    margin: float = 0.005
    clock: Clock = "cpu"


class ShapeRatio(NamedTuple):
    """How the candidate does on one shape; interval for a fixed sample, times per call."""

    shape: str
    ratio: float
    low: float
    high: float
    calls: int
    baseline_seconds: float
    candidate_seconds: float


class Record:
    """Rounds of pairs, one pair per shape and round.

    Every round is one value, the mean over its shapes of log(baseline time / candidate time), so
    shapes count the same whatever their size. Pairs were run in random order, so each log-ratio is
    symmetric about its shape's true one given the past, and so is their mean: what
    `ConfidenceSequence` needs.

    Args:
        effort: when to stop at the latest.
        against: ratio that decides; None to measure until the interval is within the margin.
    """

    def __init__(self, effort: Effort, against: float | None) -> None:
        self._effort, self._against = effort, against
        self._rounds: list[tuple[tuple[Spent, Spent], ...]] = []
        self._sequence = ConfidenceSequence(error=effort.error)
        self._low, self._high = -math.inf, math.inf
        self.stopped = ""

    def add(self, pairs: Sequence[tuple[Spent, Spent]]) -> None:
        """Take one round: (baseline, candidate) for each shape; sets `stopped` at the last."""
        self._rounds.append(tuple(pairs))
        self._sequence.add(sum(self._logs(pairs)) / len(pairs))
        count = len(self._rounds)
        if count >= self._effort.least or count >= self._effort.rounds:
            self._low, self._high = self._sequence.interval()
            self.stopped = self._reason(count)

    def comparison(self) -> Comparison:
        """The geometric mean over the shapes, its interval and the verdict against the value."""
        effort = self._effort
        fixed = estimate([sum(self._logs(one)) / len(one) for one in self._rounds], error=0.05)
        return Comparison(
            ratio=math.exp(self._sequence.centre()),
            low=_ratio(self._low),
            high=_ratio(self._high),
            fixed_low=_ratio(fixed.low),
            fixed_high=_ratio(fixed.high),
            verdict=self._verdict(),
            stopped=self.stopped,
            clock=effort.clock,
            note="" if math.isfinite(self._high - self._low) else "too few rounds for an interval",
            pairs=len(self._rounds),
            baseline_seconds=tuple(_total([p[0] for p in one]) for one in self._rounds),
            candidate_seconds=tuple(_total([p[1] for p in one]) for one in self._rounds),
            error=effort.error,
            margin=effort.margin,
            against=1.0 if self._against is None else self._against,
        )

    def shape_ratio(self, index: int, shape: str, calls: int) -> ShapeRatio:
        """One shape by itself, from every round."""
        pairs = [one[index] for one in self._rounds]
        known = estimate(self._logs(pairs), error=0.05)
        return ShapeRatio(
            shape,
            math.exp(known.centre),
            _ratio(known.low),
            _ratio(known.high),
            calls,
            median(self._seconds(pair[0]) for pair in pairs) / calls,
            median(self._seconds(pair[1]) for pair in pairs) / calls,
        )

    def _reason(self, count: int) -> str:
        if self._against is None:
            if self._high - self._low <= 2 * self._effort.margin:
                return "the interval is within the margin"
        elif self._verdict() is not Verdict.UNDECIDED:
            return f"clear against {self._against:.3f} after {count} rounds"
        return f"all {count} rounds were taken" if count >= self._effort.rounds else ""

    def _verdict(self) -> Verdict:
        against = math.log(1.0 if self._against is None else self._against)
        if self._low > against:
            return Verdict.FASTER
        if self._high < against:
            return Verdict.SLOWER
        margin = math.log1p(self._effort.margin)
        if against - margin <= self._low and self._high <= against + margin:
            return Verdict.NO_DIFFERENCE
        return Verdict.UNDECIDED

    def _logs(self, pairs: Sequence[tuple[Spent, Spent]]) -> list[float]:
        return [math.log(self._seconds(ours) / self._seconds(theirs)) for ours, theirs in pairs]

    def _seconds(self, spent: Spent) -> float:
        return max(spent[self._effort.clock == "wall"], _TICK)


def _ratio(log: float) -> float:
    return math.exp(min(max(log, -_CLIP), _CLIP))


def _total(spent: Sequence[Spent]) -> Spent:
    return Spent(sum(one.cpu_seconds for one in spent), sum(one.wall_seconds for one in spent))
