"""The rounds of a trial as they come in, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from breeder.measurement import (
    Clock,
    Comparison,
    ConfidenceSequence,
    Estimate,
    Spent,
    Verdict,
    estimate,
)

_CLIP = math.log(1e3)
"""Bounds of an interval are cut to a thousandfold: what is reported must be a finite number."""

_TICK = 1e-9
"""Shortest time, in seconds, so that its logarithm exists."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a comparison may take.

    Attributes:
        rounds: most launches of both programs; each gives one value.
        least: rounds before the first decision. No interval is finite before the ninth.
        passes: over all shapes in a round. More of them are worth it when starting a program costs
            more than a pass, as long as launches differ little.
        footprint_mib: arrays of one batch together; decides which cache they are served from.
        batch_seconds: CPU seconds of the baseline that a batch should not exceed.
        checked: calls of each batch whose outputs and inputs are checked, chosen after the run; a
            fraction is the chance of one more, for references that cost more than what is timed.
        error: bound on the probability of a wrong verdict, over all looks together.
        margin: relative difference below which there is none.
        clock: which clock decides: CPU time, or elapsed time where threads are to count.
    """

    rounds: int = 40
    least: int = 9
    passes: int = 1
    footprint_mib: float = 4.0
    batch_seconds: float = 0.02
    checked: float = 1
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
    shapes count the same whatever their size. Both programs were started anew for it, and pairs
    were run in random order. So whatever the launch did to the two, and whatever happened while
    they ran, was as likely to befall the other: each value is symmetric about the true one given
    the past, which is what `ConfidenceSequence` and `estimate` need.

    Looking after every round costs width, so half of the error is for the looks and half for the
    end, when every round was taken: the interval is then that of a sample of fixed size (two bounds
    on the error add up, whatever their events have to do with each other). It is a third narrower.

    Args:
        effort: when to stop at the latest.
        against: ratio that decides; None to measure until the interval is within the margin.

    Attributes:
        stopped: why measuring ended; empty before.
        one_core: whether both programs ran on the same core.
    """

    def __init__(self, effort: Effort, against: float | None) -> None:
        self._effort, self._against = effort, against
        self._rounds: list[tuple[tuple[Spent, Spent], ...]] = []
        self._values: list[float] = []
        self._sequence = ConfidenceSequence(error=effort.error / 2)
        self._known = Estimate(0.0, -math.inf, math.inf)
        self.stopped = ""
        self.one_core = True

    def add(self, pairs: Sequence[tuple[Spent, Spent]]) -> None:
        """Take one round: (baseline, candidate) for each shape; sets `stopped` at the last."""
        self._rounds.append(tuple(pairs))
        self._values.append(sum(self._logs(pairs)) / len(pairs))
        self._sequence.add(self._values[-1])
        count = len(self._rounds)
        if count >= self._effort.rounds:
            self._known = estimate(self._values, error=self._effort.error / 2)
            self.stopped = f"all {count} rounds were taken"
        elif count >= self._effort.least:
            self._known = Estimate(self._sequence.centre(), *self._sequence.interval())
            self.stopped = self._reason(count)

    def comparison(self) -> Comparison:
        """The geometric mean over the shapes, its interval and the verdict against the value."""
        effort = self._effort
        fixed = estimate(self._values, error=effort.error)
        return Comparison(
            ratio=math.exp(self._known.centre),
            low=_ratio(self._known.low),
            high=_ratio(self._known.high),
            fixed_low=_ratio(fixed.low),
            fixed_high=_ratio(fixed.high),
            verdict=self._verdict(),
            stopped=self.stopped,
            clock=effort.clock,
            note=self._note(),
            pairs=len(self._rounds),
            baseline_seconds=tuple(total([p[0] for p in one]) for one in self._rounds),
            candidate_seconds=tuple(total([p[1] for p in one]) for one in self._rounds),
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

    def _note(self) -> str:
        notes = []
        if not math.isfinite(self._known.high - self._known.low):
            notes.append("too few rounds for an interval")
        if self._effort.clock == "cpu" and not self.one_core:
            notes.append("the programs could not be bound to one core")
        return "; ".join(notes)

    def _reason(self, count: int) -> str:
        if self._against is None:
            if self._known.high - self._known.low <= 2 * self._effort.margin:
                return "the interval is within the margin"
        elif self._verdict() is not Verdict.UNDECIDED:
            return f"clear against {self._against:.3f} after {count} rounds"
        return ""

    def _verdict(self) -> Verdict:
        against = math.log(1.0 if self._against is None else self._against)
        if self._known.low > against:
            return Verdict.FASTER
        if self._known.high < against:
            return Verdict.SLOWER
        margin = math.log1p(self._effort.margin)
        if against - margin <= self._known.low and self._known.high <= against + margin:
            return Verdict.NO_DIFFERENCE
        return Verdict.UNDECIDED

    def _logs(self, pairs: Sequence[tuple[Spent, Spent]]) -> list[float]:
        return [math.log(self._seconds(ours) / self._seconds(theirs)) for ours, theirs in pairs]

    def _seconds(self, spent: Spent) -> float:
        return max(spent[self._effort.clock == "wall"], _TICK)


def _ratio(log: float) -> float:
    return math.exp(min(max(log, -_CLIP), _CLIP))


def total(spent: Sequence[Spent]) -> Spent:
    """Add up."""
    return Spent(sum(one.cpu_seconds for one in spent), sum(one.wall_seconds for one in spent))
