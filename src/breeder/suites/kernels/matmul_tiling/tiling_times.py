"""Measured speed-ups of tilings over the textbook one, remembered between evaluations and runs."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from tiling_family import Family, Shape, Tiling
from tiling_kernels import Kernels, Matrix, matrix

from breeder.errors import EvaluatorError

# One batch takes at least this many CPU seconds. Many short batches resolve more than few long
# ones: a disturbance spoils one of them and the low quantile passes it over.
BATCH_SECONDS = 0.7e-3
QUANTILE = 0.25
# |error| <= TOLERANCE * (|A| |B|) per element; float32 sums of a few thousand terms stay below.
TOLERANCE = 1e-5
# Slower than HOPELESS even by the kindest reading of the first GLANCE rounds: more would be wasted.
GLANCE, HOPELESS = 2, 0.5

Pair = tuple[float, float]  # seconds of the textbook tiling, seconds of the other, same round


class Clock(Protocol):
    """Times tilings on one shape, side by side."""

    def round(self, shape: Shape, tilings: Sequence[Tiling]) -> list[float]:
        """CPU seconds of one product under each tiling, run in random order close in time."""
        ...


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


class KernelClock:
    """Runs the compiled kernels on random matrices and checks the first product of each tiling."""

    def __init__(self, kernels: Kernels, *, seed: int) -> None:
        self._kernels = kernels
        self._order = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        self._operands: dict[Shape, tuple[Matrix, Matrix, Matrix, Matrix, Matrix]] = {}
        self._repetitions: dict[tuple[Shape, Tiling], int] = {}

    def round(self, shape: Shape, tilings: Sequence[Tiling]) -> list[float]:
        """See `Clock`. Raises EvaluatorError when a product comes out wrong."""
        a, b, c, _, _ = self._matrices(shape)
        for tiling in tilings:
            if (shape, tiling) not in self._repetitions:
                self._repetitions[shape, tiling] = self._first(shape, tiling)
        seconds = [0.0] * len(tilings)
        for index in self._order.sample(range(len(tilings)), len(tilings)):
            count = self._repetitions[shape, tilings[index]]
            total = self._kernels.run(shape, a, b, c, tilings[index], repetitions=count)
            seconds[index] = total / count
        return seconds

    def _matrices(self, shape: Shape) -> tuple[Matrix, Matrix, Matrix, Matrix, Matrix]:
        """A, B, room for C, the reference product and the scale of its rounding error."""
        if shape not in self._operands:
            a = self._numbers.standard_normal((shape.m, shape.k), dtype=np.float32)
            b = self._numbers.standard_normal((shape.k, shape.n), dtype=np.float32)
            expected, scale = a @ b, np.abs(a) @ np.abs(b)
            stored_a = _placed(a.T if shape.a_transposed else a)
            stored_b = _placed(b.T if shape.b_transposed else b)
            room = matrix(shape.m, shape.n)
            self._operands[shape] = (stored_a, stored_b, room, expected, scale)
        return self._operands[shape]

    def _first(self, shape: Shape, tiling: Tiling) -> int:
        """Check one product, warm up, and return how many products make a batch."""
        a, b, c, expected, scale = self._matrices(shape)
        c.fill(np.nan)
        self._kernels.run(shape, a, b, c, tiling)
        if not bool((np.abs(c - expected) <= TOLERANCE * scale).all()):
            raise EvaluatorError(f"matmul_tiling: wrong product on {shape} with {tiling}")
        seconds = self._kernels.run(shape, a, b, c, tiling)
        return max(1, round(BATCH_SECONDS / max(seconds, 1e-7)))


def _placed(values: Matrix) -> Matrix:
    stored = matrix(*values.shape)
    stored[...] = values
    return stored


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
    """Estimates of `textbook time / tiling time`, sharpened each time they are asked for.

    A pair of shape and tiling that is new gets `first` rounds; one that looks as good as the best
    known on its shape gets `promising` at once, so that luck does not win; every later question
    adds `again` rounds until there are `most`. A hopeless one is left at a glance.
    """

    def __init__(
        self,
        family: Family,
        clock: Clock,
        memo: Memo,
        *,
        first: int = 4,
        promising: int = 12,
        again: int = 2,
        most: int = 32,
    ) -> None:
        self.family = family
        self._clock = clock
        self._memo = memo
        self._first, self._promising, self._again, self._most = first, promising, again, most
        self._best: dict[Shape, float] = {}

    def estimate(self, shape: Shape, tiling: Tiling) -> float:
        """Speed-up of `tiling` over the textbook tiling on `shape`; exactly 1 for equal work."""
        tiling = self.family.on(shape, tiling)
        if tiling == self.family.on(shape, self.family.textbook()):
            return 1.0
        count = self.count(shape, tiling)
        if count == 0:
            self.sample(shape, [tiling], GLANCE)
            textbook, other = zip(*self._memo.pairs(shape, tiling), strict=True)
            if max(textbook) < HOPELESS * min(other):
                return self.known(shape, tiling)
            self.sample(shape, [tiling], self._first - GLANCE)
        else:
            self.sample(shape, [tiling], min(self._again, self._most - count))
        value = self.known(shape, tiling)
        if value > 0.98 * self._best.get(shape, 1.0):
            self.sample(shape, [tiling], self._promising - self.count(shape, tiling))
            value = self.known(shape, tiling)
        self._best[shape] = max(self._best.get(shape, 1.0), value)
        return value

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
