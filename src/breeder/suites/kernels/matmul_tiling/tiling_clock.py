"""The clock of the task: runs kernels on random operands, in turn, and checks their products."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tiling_family import Shape, Tiling
from tiling_kernels import Kernels, Matrices, stack

from breeder.errors import EvaluatorError

# One batch takes at least this many CPU seconds. Many short batches resolve more than few long
# ones: a disturbance spoils one of them and the low quantile passes it over.
BATCH_SECONDS = 0.5e-3
# Sets of operands and results that the products of a batch take in turn, so that kernels are not
# timed on one warm set only. What is larger than ROTATED bytes never is warm in the L2 cache.
SETS = 2
ROTATED = 1 << 20
# Share of the batches whose products are checked, and rows of each that are: both are drawn.
CHECKED, ROWS = 1 / 16, 2
# |error| <= TOLERANCE * (|A| |B|) per element, against float64. Rounding a float32 sum of k terms
# is off by at most about k/2 * 6e-8 of that; random signs leave some 1e-6 for the longest sums.
TOLERANCE = 1e-5

Exact = npt.NDArray[np.float64]
Numbers = Callable[[int, int], npt.NDArray[np.float32]]
"""Draws a matrix of `rows` and `columns`."""


class Clock(Protocol):
    """Times tilings on one shape, side by side."""

    def round(self, shape: Shape, tilings: Sequence[Tiling]) -> list[float]:
        """CPU seconds of one product under each tiling, run in random order close in time."""
        ...


class Operands:
    """Some sets of operands of one shape, room for their products, and the products in float64.

    Args:
        shape: what is multiplied.
        sets: how many.
        numbers: draws the operands.
    """

    def __init__(self, shape: Shape, sets: int, numbers: Numbers) -> None:
        a_rows, a_columns = (shape.k, shape.m) if shape.a_transposed else (shape.m, shape.k)
        b_rows, b_columns = (shape.n, shape.k) if shape.b_transposed else (shape.k, shape.n)
        self.shape = shape
        self.arrays: tuple[Matrices, Matrices, Matrices] = (
            stack(sets, a_rows, a_columns),
            stack(sets, b_rows, b_columns),
            stack(sets, shape.m, shape.n),
        )
        for one in range(sets):
            self.arrays[0][one] = numbers(a_rows, a_columns)
            self.arrays[1][one] = numbers(b_rows, b_columns)
        self._references: dict[int, tuple[Exact, Exact]] = {}

    def __len__(self) -> int:
        return len(self.arrays[2])

    def poison(self) -> None:
        """Fill the results with NaN: what is not written is wrong."""
        self.arrays[2].fill(np.nan)

    def check(self, one: int, tiling: Tiling, rows: Sequence[int] | None = None) -> None:
        """Compare result number `one`, or some of its rows, with float64, every element.

        Where the exact product is NaN or infinite (operands with NaN or infinity) the result must
        be the same.

        Raises:
            EvaluatorError: it is wrong; names shape and tiling.
        """
        found = self.arrays[2][one]
        if rows is None:
            if one not in self._references:
                self._references[one] = self._reference(one, slice(None), np.matmul)
            expected, bound = self._references[one]
        else:
            found = found[rows]
            # No BLAS: its threads would spin on beside the next batch.
            expected, bound = self._reference(one, rows, partial(np.einsum, "ik,kj->ij"))
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            good = np.abs(found - expected) <= bound
        good |= (found == expected) | (np.isnan(expected) & np.isnan(found))
        if not bool(good.all()):
            raise EvaluatorError(f"matmul_tiling: wrong product on {self.shape} with {tiling}")

    def _reference(
        self, one: int, rows: slice | Sequence[int], product: Callable[[Exact, Exact], Exact]
    ) -> tuple[Exact, Exact]:
        """Some rows of a product in float64 and how far float32 may be off."""
        a, b = self.arrays[0][one], self.arrays[1][one]
        left = (a.T if self.shape.a_transposed else a)[rows].astype(np.float64)
        right = (b.T if self.shape.b_transposed else b).astype(np.float64)
        with np.errstate(invalid="ignore"):
            return product(left, right), TOLERANCE * product(np.abs(left), np.abs(right))


class KernelClock:
    """Runs the compiled kernels on random matrices, in turn, and checks products drawn at random.

    Args:
        kernels: the compiled family.
        seed: of the operands, the order of tilings and the choice of what is checked.
        thorough: check every element after every batch.
    """

    def __init__(self, kernels: Kernels, *, seed: int, thorough: bool = False) -> None:
        self._kernels = kernels
        self._thorough = thorough
        self._chance = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        self._operands: dict[Shape, Operands] = {}
        self._repetitions: dict[tuple[Shape, Tiling], int] = {}
        self._warm: Shape | None = None

    def round(self, shape: Shape, tilings: Sequence[Tiling]) -> list[float]:
        """See `Clock`. Raises EvaluatorError when a product comes out wrong."""
        operands = self._on(shape)
        for tiling in tilings:
            if (shape, tiling) not in self._repetitions:
                self._repetitions[shape, tiling] = self._first(operands, tiling)
        if shape != self._warm:
            # What ran before left the caches with something else, which the first batch would pay.
            self._run(operands, self._chance.choice(tilings), len(operands), 0)
            self._warm = shape
        first = self._chance.randrange(len(operands))
        seconds = [0.0] * len(tilings)
        for index in self._chance.sample(range(len(tilings)), len(tilings)):
            seconds[index] = self._batch(operands, tilings[index], first)
        return seconds

    def _batch(self, operands: Operands, tiling: Tiling, first: int) -> float:
        """CPU seconds of one product, from a batch."""
        checked = self._thorough or self._chance.random() < CHECKED
        if checked:
            operands.poison()
        count = self._repetitions[operands.shape, tiling]
        total = self._run(operands, tiling, count, first)
        if checked:
            self._check(operands, tiling, {(first + r) % len(operands) for r in range(count)})
        return total / count

    def _run(self, operands: Operands, tiling: Tiling, count: int, first: int) -> float:
        return self._kernels.run(
            operands.shape, operands.arrays, tiling, repetitions=count, first=first
        )

    def _check(self, operands: Operands, tiling: Tiling, sets: Iterable[int]) -> None:
        height = operands.shape.m
        rows = None
        if not self._thorough:
            rows = sorted(self._chance.sample(range(height), min(ROWS, height)))
        for one in sorted(sets):
            operands.check(one, tiling, rows)

    def _on(self, shape: Shape) -> Operands:
        if shape not in self._operands:
            size = 4 * (shape.m * shape.k + shape.k * shape.n + shape.m * shape.n)
            sets = SETS if size <= ROTATED else 1
            self._operands[shape] = Operands(shape, sets, self._uniform)
        return self._operands[shape]

    def _uniform(self, rows: int, columns: int) -> npt.NDArray[np.float32]:
        return self._numbers.random((rows, columns), dtype=np.float32) - np.float32(0.5)

    def _first(self, operands: Operands, tiling: Tiling) -> int:
        """Check a product of each set and return how many products make a batch."""
        sets = range(len(operands))
        operands.poison()
        self._run(operands, tiling, len(sets), 0)
        self._check(operands, tiling, sets)
        seconds = min(self._run(operands, tiling, 1, one) for one in (0, *sets))
        self._warm = operands.shape
        return max(1, round(BATCH_SECONDS / max(seconds, 1e-7)))
