"""Comparing two pieces of work: pairs in random order, looked at as they come, until clear."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, isfinite, log
from typing import Literal

from breeder.errors import ConfigError
from breeder.measurement.clocks import CROWDED, processor_share
from breeder.measurement.comparison import Clock, Comparison, Spent, Verdict, Work
from breeder.measurement.estimation import Estimate, estimate, inflation
from breeder.measurement.sequence import ConfidenceSequence, Interval

NOISY = 5.0  # an interval wider than this many margins on either side is called too noisy
LOOK_EVERY_UP_TO = 64  # pairs; from there on a look every 1/32 of the pairs taken
POWER = 1.43  # (1.96 + 0.84) / 1.96: from a half-width to what is detected 4 times in 5

OnPair = Callable[[Spent, Spent], None]
"""Told of every pair: what the baseline and what the candidate used."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one comparison may use.

    Attributes:
        seconds: of measuring: elapsed, and CPU time of the samples, whichever is first. No pair
            begins after them, except the very first.
        pairs: samples of each side.
        min_pairs: pairs before the first look; when all are taken there is a last one.
        warm_up: pairs measured first and left out; they count for the time only.

    Raises:
        ConfigError: a limit that cannot be met.
    """

    seconds: float = 10.0
    pairs: int = 5000
    min_pairs: int = 12
    warm_up: int = 2

    def __post_init__(self) -> None:
        if not self.seconds > 0.0:
            raise ConfigError(f"seconds: {self.seconds} leaves no time to measure")
        if self.pairs < 1:
            raise ConfigError(f"pairs: {self.pairs} is below 1")
        if self.min_pairs < 1:
            raise ConfigError(f"min_pairs: {self.min_pairs} is below 1")
        if self.warm_up < 0:
            raise ConfigError(f"warm_up: {self.warm_up} is below 0")


@dataclass(frozen=True, slots=True)
class Settings:
    """How one comparison decides.

    Attributes:
        error: probability of a wrong "faster" or "slower", over all looks together.
        margin: relative difference below which "no difference" is said; 0 never says it.
        against: the ratio to compare with; "faster" means faster than that.
        sequential: stop as soon as it is clear. Otherwise all pairs are taken and the interval for
            a fixed sample decides.
        threads: threads that the work uses; with several, wall time decides.
        clock: `auto` goes by `threads`, and falls back to CPU time on a crowded machine.
        share: measures what share of so many cores a busy program gets; asked once, before the
            samples, where wall time would decide.

    Raises:
        ConfigError: a value out of range.
    """

    error: float = 0.05
    margin: float = 0.01
    against: float = 1.0
    sequential: bool = True
    threads: int = 1
    clock: Literal["auto", "cpu", "wall"] = "auto"
    share: Callable[[int], float] = field(default=processor_share, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.error < 1.0:
            raise ConfigError(f"error: {self.error} is not between 0 and 1")
        if not 0.0 <= self.margin < 1.0:
            raise ConfigError(f"margin: {self.margin} is not between 0 and 1")
        if not (self.against > 0.0 and isfinite(self.against)):
            raise ConfigError(f"against: {self.against} is not a positive ratio")
        if self.threads < 1:
            raise ConfigError(f"threads: {self.threads} is below 1")


def compare(
    baseline: Work,
    candidate: Work,
    *,
    rng: random.Random,
    limits: Limits | None = None,
    settings: Settings | None = None,
    on_pair: OnPair | None = None,
) -> Comparison:
    """Measure how much faster `candidate` is than `baseline`, for as long as that takes.

    Samples come in pairs, adjacent in time, and `rng` draws for each pair which side goes first:
    that alone makes the intervals hold on a machine that drifts, bursts and preempts (see
    `ConfidenceSequence`). In sequential mode the verdict is taken on an interval that is valid at
    all times at once, so looking after every pair costs no error. Where neighbouring pairs agree
    more than random order allows, the ratio depends on the machine's state: intervals are widened
    and `note` says so.

    Args:
        baseline: does its work once and says what it used; run as often as `candidate`.
        candidate: likewise.
        rng: decides the order within pairs.
        limits: what measuring may use.
        settings: how to decide.
        on_pair: told of every pair but the warm-up, as it comes.

    Raises:
        ConfigError: work that used no measurable time on the clock that decides.
    """
    limits, settings = limits or Limits(), settings or Settings()
    clock, note = _choose_clock(settings)
    pairs = _Pairs(baseline, candidate, rng, clock)
    earlier: list[float] = []
    while len(earlier) < limits.warm_up and pairs.in_time(limits):
        earlier.append(pairs.measure()[2])
    sequence = ConfidenceSequence(error=settings.error, earlier=tuple(earlier))
    session = _Session(settings, limits, pairs, sequence)
    while session.going_on():
        first, second, ratio = pairs.measure()
        session.add(first, second, ratio)
        if on_pair is not None:
            on_pair(first, second)
    return session.conclude(clock, note)


class _Pairs:
    """Draws the order, runs both, reads the clock that decides; keeps the time used."""

    def __init__(self, baseline: Work, candidate: Work, rng: random.Random, clock: Clock) -> None:
        self._work, self._rng, self._clock = (baseline, candidate), rng, clock
        self._begin = time.perf_counter()
        self._cpu = self._wall = 0.0

    def in_time(self, limits: Limits) -> bool:
        """Whether another pair may begin."""
        elapsed = max(time.perf_counter() - self._begin, self._wall)
        return max(elapsed, self._cpu) < limits.seconds

    def measure(self) -> tuple[Spent, Spent, float]:
        """Spent by the baseline, by the candidate, and the log of their ratio."""
        order = (0, 1) if self._rng.random() < 0.5 else (1, 0)
        spent = [Spent(0.0, 0.0), Spent(0.0, 0.0)]
        for side in order:
            spent[side] = self._work[side]()
            self._cpu += spent[side].cpu_seconds
            self._wall += spent[side].wall_seconds
        seconds = [s.cpu_seconds if self._clock == "cpu" else s.wall_seconds for s in spent]
        for name, value in zip(("baseline", "candidate"), seconds, strict=True):
            if not (value > 0.0 and isfinite(value)):
                raise ConfigError(
                    f"{name}: a sample took {value} s by the {self._clock} clock; "
                    "give each sample more work"
                )
        return spent[0], spent[1], log(seconds[0] / seconds[1])


class _Session:
    """The samples of one comparison and the decision on them."""

    def __init__(
        self, settings: Settings, limits: Limits, pairs: _Pairs, sequence: ConfidenceSequence
    ) -> None:
        self.settings, self.limits = settings, limits
        self._pairs, self._sequence = pairs, sequence
        self._spent: tuple[list[Spent], list[Spent]] = ([], [])
        self._verdict = Verdict.UNDECIDED
        self._stopped = ""
        self._next_look = limits.min_pairs
        against, margin = settings.against, settings.margin
        self._against = log(against)
        self._near = Interval(log(against * (1.0 - margin)), log(against * (1.0 + margin)))

    def going_on(self) -> bool:
        """Whether another pair is wanted and allowed; notes why not."""
        taken = len(self._sequence)
        if self._verdict is not Verdict.UNDECIDED:
            return False
        if taken >= self.limits.pairs:
            self._stopped = f"every pair asked for was taken ({taken})"
        elif taken and not self._pairs.in_time(self.limits):
            self._stopped = f"time was up ({self.limits.seconds:g} s, {taken} pairs)"
        return not self._stopped

    def add(self, baseline: Spent, candidate: Spent, ratio: float) -> None:
        """Take a pair and, in sequential mode, look."""
        self._spent[0].append(baseline)
        self._spent[1].append(candidate)
        self._sequence.add(ratio)
        taken = len(self._sequence)
        if self.settings.sequential and taken >= self._next_look:
            self._next_look = taken + 1 + max(0, (taken - LOOK_EVERY_UP_TO) // 32)
            self._look()

    def _look(self) -> None:
        rejects = self._sequence.rejects
        different = rejects(self._against)
        near = self.settings.margin > 0.0 and rejects(self._near.low) and rejects(self._near.high)
        if different or near:
            self._verdict = self._judge(self._interval())
            taken = len(self._sequence)
            if self._verdict is Verdict.UNDECIDED:
                self._next_look += taken // 8  # a widened interval: no use in trying every time
            else:
                self._stopped = f"clear after {taken} pairs"

    def _interval(self) -> Interval:
        """The sequential interval, widened where neighbouring pairs agree."""
        interval = self._sequence.interval()
        factor = inflation(self._sequence.values.tolist())
        if factor == 1.0:
            return interval
        centre = self._sequence.centre()
        return Interval(
            centre + factor * (interval.low - centre), centre + factor * (interval.high - centre)
        )

    def _judge(self, interval: Interval) -> Verdict:
        if interval.low > self._against:
            return Verdict.FASTER
        if interval.high < self._against:
            return Verdict.SLOWER
        if self._near.low <= interval.low and interval.high <= self._near.high:
            return Verdict.NO_DIFFERENCE
        return Verdict.UNDECIDED

    def conclude(self, clock: Clock, note: str) -> Comparison:
        """Put the samples and the decision together."""
        ratios = self._sequence.values.tolist()
        fixed = estimate(ratios, error=self.settings.error)
        deciding = Interval(fixed.low, fixed.high)
        if self.settings.sequential:
            deciding = self._interval()
        if self._verdict is Verdict.UNDECIDED:
            self._verdict = self._judge(deciding)
        if self._verdict is Verdict.UNDECIDED:
            self._stopped += self._unresolved(fixed, deciding)
        notes = [note, _crowding(self.settings, clock, self._spent), _wandering(ratios)]
        return Comparison(
            ratio=exp(min(max(fixed.centre, deciding.low), deciding.high)),
            low=exp(deciding.low),
            high=_exp(deciding.high),
            fixed_low=exp(fixed.low),
            fixed_high=_exp(fixed.high),
            verdict=self._verdict,
            stopped=self._stopped,
            clock=clock,
            note="; ".join(part for part in notes if part),
            pairs=len(ratios),
            baseline_seconds=tuple(self._spent[0]),
            candidate_seconds=tuple(self._spent[1]),
            error=self.settings.error,
            margin=self.settings.margin,
            against=self.settings.against,
        )

    def _unresolved(self, fixed: Estimate, interval: Interval) -> str:
        half = max(interval.high - fixed.centre, fixed.centre - interval.low)
        if not isfinite(half):
            return "; too few pairs for any verdict"
        resolved = (
            f"a difference of {100.0 * (_exp(POWER * half) - 1.0):.2g} % would have been seen"
        )
        if half > NOISY * self.settings.margin:
            return f"; the machine is too noisy for this budget: {resolved}"
        return f"; {resolved}"


def _choose_clock(settings: Settings) -> tuple[Clock, str]:
    if settings.clock != "auto":
        return settings.clock, ""
    if settings.threads == 1:
        return "cpu", ""
    share = settings.share(settings.threads)
    if share >= CROWDED:
        return "wall", ""
    return "cpu", (
        f"crowded machine ({settings.threads} busy threads got {share:.0%} of their cores): "
        "CPU time of all threads decided instead of wall time, which hides a better use of threads"
    )


def _crowding(settings: Settings, clock: Clock, spent: tuple[list[Spent], list[Spent]]) -> str:
    """Say so when single-threaded work was preempted; idle threads look alike, so only there."""
    if settings.threads > 1:
        return ""
    samples = spent[0] + spent[1]
    wall = sum(s.wall_seconds for s in samples)
    share = sum(s.cpu_seconds for s in samples) / wall if wall > 0.0 else 1.0
    if share >= CROWDED:
        return ""
    decided = "CPU time decided" if clock == "cpu" else "wall time decided as asked"
    return f"crowded machine (the work got {share:.0%} of a core): {decided}"


def _wandering(ratios: list[float]) -> str:
    factor = inflation(ratios)
    if factor == 1.0:
        return ""
    return (
        "the ratio wanders with the machine's state (neighbouring pairs agree): "
        f"intervals widened {factor:.2f} times"
    )


def _exp(value: float) -> float:
    return exp(value) if value < 700.0 else inf
