"""The verifiers that use NumPy once more without it, for exports that stand alone.

Written apart from the others, so that each is a second opinion on them; they are slower.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, combinations, product
from typing import Any

from breeder.maths.exact import common_integers
from breeder.maths.kissing import LARGEST_ENTRY, Kissing, Vector, Vectors
from breeder.maths.matrix_multiplication import Decomposition, MatrixMultiplication
from breeder.maths.problem import Problem, Value
from breeder.maths.refusal import RefusedError
from breeder.maths.ring_loading import Pairs, RingLoading

Quadratic = tuple[int, int]  # a + b sqrt(2)
Gaussian = tuple[int, int]  # a + b i


@dataclass(frozen=True)
class PlainKissing(Kissing):
    """Kissing configurations, pair by pair."""

    def measure(self, construction: Vectors) -> Value:
        """Return the number of vectors."""
        vectors = [_integral(vector, i) for i, vector in enumerate(construction)]
        squares = [_inner(vector, vector) for vector in vectors]
        for i, square in enumerate(squares):
            if square == (0, 0):
                raise RefusedError(f"vector {i} is zero")
        for i, j in combinations(range(len(vectors)), 2):
            a, b = _inner(vectors[i], vectors[j])
            if _positive((a, b)):
                lengths, cosine = _times(squares[i], squares[j], 2), _times((a, b), (a, b), 2)
                if _positive((4 * cosine[0] - lengths[0], 4 * cosine[1] - lengths[1])):
                    raise RefusedError(f"vectors {i} and {j} are less than 60 degrees apart")
        return self.exactly(len(construction))


@dataclass(frozen=True)
class PlainMatrixMultiplication(MatrixMultiplication):
    """Rank decompositions, product by product."""

    def measure(self, construction: Decomposition) -> Value:
        """Return the number of products."""
        found: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        rank = len(construction.u[0])
        for r in range(rank):
            u, v, w = (_column(factor, r) for factor in construction[1:])
            for (i, x), (j, y) in product(u, v):
                once = _times(x, y, -1)
                for k, z in w:
                    real, imaginary = _times(once, z, -1)
                    entry = found[i, j, k]
                    entry[0] += real
                    entry[1] += imaginary
        wanted = {
            (i * self.m + k, k * self.p + j, j * self.n + i)
            for i, k, j in product(range(self.n), range(self.m), range(self.p))
        }
        unit = construction.scale**3
        for place in wanted | set(found):
            if found[place] != [unit if place in wanted else 0, 0]:
                raise RefusedError(f"entry {place} of the tensor comes out wrong")
        return self.exactly(rank)


@dataclass(frozen=True)
class PlainRingLoading(RingLoading):
    """Ring loading, choice by choice."""

    def measure(self, construction: Pairs) -> Value:
        """Return the minimum over all 2^m choices."""
        if any(min(pair) < 0 or sum(pair) > 1 for pair in construction):
            raise RefusedError("a pair holds a negative number or sums to more than 1")
        flat, unit = common_integers([part for pair in construction for part in pair])
        choices = product(*((v, -u) for u, v in zip(flat[::2], flat[1::2], strict=True)))
        best = min(_largest_split(choice) for choice in choices)
        return self.exactly(Fraction(best, unit))


PLAIN: dict[type[Problem[Any]], type[Problem[Any]]] = {
    Kissing: PlainKissing,
    MatrixMultiplication: PlainMatrixMultiplication,
    RingLoading: PlainRingLoading,
}


def _largest_split(choice: Sequence[int]) -> int:
    parts = list(accumulate(choice))
    return max(abs(2 * part - parts[-1]) for part in parts)


def _integral(vector: Vector, number: int) -> list[Quadratic]:
    """A vector times a positive number that makes it integers without a common factor."""
    scaled, _ = common_integers([part for pair in vector for part in pair])
    shared = math.gcd(*scaled) or 1
    if max(map(abs, scaled)) > LARGEST_ENTRY * shared:
        raise RefusedError(f"vector {number} needs integers above 2**128")
    parts = [value // shared for value in scaled]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _inner(one: Sequence[Quadratic], other: Sequence[Quadratic]) -> Quadratic:
    terms = [_times(x, y, 2) for x, y in zip(one, other, strict=True)]
    return sum(a for a, _ in terms), sum(b for _, b in terms)


def _times(one: tuple[int, int], other: tuple[int, int], square: int) -> tuple[int, int]:
    """A product of a + b s and c + d s, where s^2 = square."""
    (a, b), (c, d) = one, other
    return a * c + square * b * d, a * d + b * c


def _positive(value: Quadratic) -> bool:
    """Whether a + b sqrt(2) > 0; where the signs differ the squares decide."""
    a, b = value
    if a >= 0 and b >= 0:
        return (a, b) != (0, 0)
    return (a > 0 and a * a > 2 * b * b) or (b > 0 and 2 * b * b > a * a)


def _column(factor: Sequence[Sequence[Gaussian]], number: int) -> list[tuple[int, Gaussian]]:
    """The entries of a product that are not 0, with their rows."""
    return [(row, entries[number]) for row, entries in enumerate(factor) if any(entries[number])]
