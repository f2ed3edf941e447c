"""Measured speed-ups of tilings over the textbook one, remembered between evaluations and runs."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tiling_clock import Clock
from tiling_family import Family, Shape, Tiling

from breeder.errors import EvaluatorError

QUANTILE = 0.25
# Slower than HOPELESS even by the kindest reading of the first rounds: more would be wasted.
HOPELESS = 0.5
# A ratio of lower quartiles of n paired rounds has about QUARTILE_ERROR times the standard error of
# their mean, were they normal. One standard deviation holds WITHIN_ONE of a normal sample.
QUARTILE_ERROR, WITHIN_ONE = 1.25, 0.683
NORMAL_95 = 1.96
# A candidate is given up when what would be worth confirming, a gain of WORTH over the value to
# beat, lies GIVE_UP standard errors above its estimate. Most changes change next to nothing;
# telling them apart would take most of the time (the indifference zone of ranking and selection,
# Bechhofer 1954).
GIVE_UP, WORTH = 0.5, 1.02
# Whether it is given up is asked after each of so many parts of the shapes.
PARTS = 4

Pair = tuple[float, float]  # seconds of the textbook tiling, seconds of the other, same round


def speed_up(pairs: Sequence[Pair]) -> float:
    """Ratio of the lower quartiles of the two columns: above 1 is faster than the textbook."""
    textbook, other = zip(*pairs, strict=True)
    return low_quantile(textbook) / low_quantile(other)


def low_quantile(values: Iterable[float]) -> float:
    """`numpy.quantile(values, QUANTILE)`, quicker for the few values that a pair has."""
    ordered = sorted(values)
    whole, part = divmod(QUANTILE * (len(ordered) - 1), 1.0)
    low, high = ordered[int(whole)], ordered[min(int(whole) + 1, len(ordered) - 1)]
    return low + part * (high - low)


class Rule(NamedTuple):
    """How many rounds a pair of shape and tiling is worth.

    Attributes:
        levels: of every pair, one level after the other, as long as its candidate can beat the
            value to beat. Where there is none yet, the second level is the last.
        most: that are kept of a pair; more would only slow down looking it up.
    """

    levels: tuple[int, ...] = (2, 4, 6, 8, 12, 24)
    most: int = 64


class Standing(NamedTuple):
    """What is known of a choice of tilings.

    Attributes:
        logs: log speed-up on each shape; exactly 0 where the work equals the textbook tiling's.
        centre: their mean. error: its standard error from the spread between rounds.
    """

    logs: tuple[float, ...]
    centre: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the geometric mean of the speed-ups."""
        reach = NORMAL_95 * self.error
        return math.exp(self.centre - reach), math.exp(self.centre + reach)

    def beats(self, value: float) -> bool:
        """Whether a speed-up worth mentioning above `value` is within what the rounds allow."""
        return self.centre + GIVE_UP * self.error >= math.log(value * WORTH)


class Memo:
    """Rounds measured so far, in one SQLite file that processes share.

    The file belongs to one compiled library on one kind of processor; its name says which.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        try:
            self._base = sqlite3.connect(path, timeout=60.0, isolation_level=None)
            self._base.execute("PRAGMA synchronous = OFF")  # losing timings loses nothing
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS round "
                "(shape TEXT, tiling TEXT, textbook REAL, seconds REAL)"
            )
            self._base.execute("CREATE INDEX IF NOT EXISTS pair ON round (shape, tiling)")
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def pairs(self, shape: Shape, tiling: Tiling) -> list[Pair]:
        """Every round of `tiling` on `shape`, oldest first."""
        try:
            rows = self._base.execute(
                "SELECT textbook, seconds FROM round WHERE shape = ? AND tiling = ? ORDER BY rowid",
                _key(shape, tiling),
            )
            return [(float(textbook), float(seconds)) for textbook, seconds in rows]
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def add(self, shape: Shape, rounds: Iterable[tuple[Tiling, Pair]]) -> None:
        """Append rounds on one shape."""
        rows = [(*_key(shape, tiling), *pair) for tiling, pair in rounds]
        try:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany("INSERT INTO round VALUES (?, ?, ?, ?)", rows)
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _failure(self, error: sqlite3.Error) -> EvaluatorError:
        return EvaluatorError(f"matmul_tiling: {self._path}: {error}; delete that file")


def _key(shape: Shape, tiling: Tiling) -> tuple[str, str]:
    return " ".join(str(int(x)) for x in shape), " ".join(map(str, tiling))


class Speedups:
    """Estimates of `textbook time / tiling time`, sharpened each time they are asked for."""

    def __init__(
        self, family: Family, clock: Clock, memo: Memo, *, rule: Rule | None = None
    ) -> None:
        self.family = family
        self._clock = clock
        self._memo = memo
        self._rule = rule or Rule()

    def race(
        self, shapes: Sequence[Shape], tilings: Sequence[Tiling], to_beat: float | None = None
    ) -> Standing:
        """Measure level by level; go on only while all tilings together can beat `to_beat`.

        Stops within a level, too: not every tiling then has had the same number of rounds.
        """
        standing = self.glance(shapes, tilings)
        for rounds in self._rule.levels[1 : 2 if to_beat is None else None]:
            for part in range(PARTS):
                if to_beat is not None and not standing.beats(to_beat):
                    return standing
                self._raise(shapes[part::PARTS], tilings[part::PARTS], rounds)
                standing = self.standing(shapes, tilings)
        return standing

    def glance(self, shapes: Sequence[Shape], tilings: Sequence[Tiling]) -> Standing:
        """Give every pair that is new its first few rounds."""
        self._raise(shapes, tilings, self._rule.levels[0])
        return self.standing(shapes, tilings)

    def _raise(self, shapes: Sequence[Shape], tilings: Sequence[Tiling], rounds: int) -> None:
        for shape, tiling in zip(shapes, tilings, strict=True):
            tiling = self.family.on(shape, tiling)
            if self._textbook(shape, tiling) or self._hopeless(shape, tiling):
                continue
            self.sample(shape, [tiling], rounds - self.count(shape, tiling))

    def _hopeless(self, shape: Shape, tiling: Tiling) -> bool:
        pairs = self._memo.pairs(shape, tiling)
        if not pairs:
            return False
        textbook, other = zip(*pairs, strict=True)
        return bool(max(textbook) < HOPELESS * min(other))

    def standing(self, shapes: Sequence[Shape], tilings: Sequence[Tiling]) -> Standing:
        """What the rounds measured so far say of one tiling per shape.

        The spread of a single paired round is pooled over the shapes, as few rounds of one shape
        tell little of it; disturbances of single rounds count by their share, not by their size.
        """
        logs: list[float] = []
        counts: list[int] = []
        residuals: list[float] = []
        for shape, tiling in zip(shapes, tilings, strict=True):
            if self._textbook(shape, tiling):
                logs.append(0.0)
                continue
            pairs = self._memo.pairs(shape, self.family.on(shape, tiling))
            logs.append(math.log(speed_up(pairs)) if pairs else 0.0)
            if len(pairs) > 1:
                counts.append(len(pairs))
                residuals += _residuals(pairs)
        spread = float(np.quantile(residuals, WITHIN_ONE)) if residuals else 0.0
        total = math.sqrt(math.fsum(1.0 / count for count in counts))
        error = QUARTILE_ERROR * spread * total / len(logs)
        return Standing(tuple(logs), math.fsum(logs) / len(logs), error)

    def known(self, shape: Shape, tiling: Tiling) -> float:
        """The estimate from what was measured so far; 1 when nothing was."""
        tiling = self.family.on(shape, tiling)
        pairs = self._memo.pairs(shape, tiling)
        return speed_up(pairs) if pairs else 1.0

    def pace(self, shape: Shape, tiling: Tiling) -> float:
        """Lower quartile of the seconds of `tiling` on `shape`; infinite when never measured.

        With a round or two this ranks better than the speed-up, whose textbook half may have been
        disturbed in the same round for all tilings of a group.
        """
        pairs = self._memo.pairs(shape, self.family.on(shape, tiling))
        return low_quantile(other for _, other in pairs) if pairs else math.inf

    def count(self, shape: Shape, tiling: Tiling) -> int:
        """How many rounds `tiling` has had on `shape`."""
        return len(self._memo.pairs(shape, self.family.on(shape, tiling)))

    def sample(self, shape: Shape, tilings: Sequence[Tiling], rounds: int) -> None:
        """Add `rounds` interleaved rounds of `tilings` and the textbook tiling to the memo."""
        textbook = self.family.on(shape, self.family.textbook())
        collected: list[tuple[Tiling, Pair]] = []
        for _ in range(rounds):
            base, *seconds = self._clock.round(shape, [textbook, *tilings])
            collected += [(t, (base, s)) for t, s in zip(tilings, seconds, strict=True)]
        if collected:
            self._memo.add(shape, collected)

    def take(self, shape: Shape, tiling: Tiling, pairs: Sequence[Pair]) -> None:
        """Remember rounds that were measured for another purpose, until there are `most`.

        A choice is confirmed because its rounds so far were kind to it: fresh ones correct what is
        known of its tilings, for it and for every choice that shares one.
        """
        if not self._textbook(shape, tiling):
            tiling = self.family.on(shape, tiling)
            room = max(0, self._rule.most - self.count(shape, tiling))
            self._memo.add(shape, [(tiling, pair) for pair in pairs[:room]])

    def _textbook(self, shape: Shape, tiling: Tiling) -> bool:
        on = self.family.on
        return on(shape, tiling) == on(shape, self.family.textbook())


def _residuals(pairs: Sequence[Pair]) -> list[float]:
    """Distances of log-ratios from their median, corrected for the median having been fitted."""
    ratios = sorted(math.log(textbook / other) for textbook, other in pairs)
    half = len(ratios) // 2
    centre = 0.5 * (ratios[half] + ratios[-half - 1])
    scale = math.sqrt(len(ratios) / (len(ratios) - 1))
    return [scale * abs(ratio - centre) for ratio in ratios]
