"""Points whose largest distance is small against the smallest."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import ClassVar

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.exact import common_integers, decimal
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, plain, rows
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

Points = tuple[tuple[Fraction, ...], ...]

MOST_DIMENSIONS = 16
MOST_POINTS = 256
BITS = 40


@dataclass(frozen=True)
class MaxMinRatio(Problem[Points]):
    """n points of d-dimensional space; the square of the largest distance over the smallest."""

    d: int
    n: int
    family: ClassVar[str] = "max_min_ratio"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        if not 1 <= self.d <= MOST_DIMENSIONS:
            raise UserError(f"{self.family}: the dimension must be 1 to {MOST_DIMENSIONS}")
        if not 2 <= self.n <= MOST_POINTS:
            raise UserError(f"{self.family}: the number of points must be 2 to {MOST_POINTS}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.n} points in dimension {self.d}; minimise the square of the largest of their "
            "distances over the smallest."
        )

    @property
    def bound(self) -> Bound:
        """By the isodiametric inequality n <= (D + 1)^d for points at distances from 1 to D.

        The balls of diameter 1 about them do not overlap and lie in a body of diameter D + 1.
        """
        least = max(_root_below(self.n, self.d) - 1, Fraction(1)) ** 2
        return Bound(decimal(least, 9, up=False), "isodiametric inequality")

    def read(self, data: object) -> Points:
        """Return the points. Rows of d coordinates, or a mapping with them under `points`."""
        read = tuple(tuple(row) for row in rows(data, self.key, self.d, MOST_POINTS))
        if len(read) != self.n:
            raise RefusedError(f"expected {self.n} points, got {len(read)}")
        return read

    def write(self, construction: Points) -> Json:
        """Return rows of coordinates."""
        return [[plain(entry) for entry in point] for point in construction]

    def measure(self, construction: Points) -> Value:
        """Return the squared ratio, exactly."""
        flat, _ = common_integers([entry for point in construction for entry in point])
        scaled = [flat[at : at + self.d] for at in range(0, len(flat), self.d)]
        squares = [
            sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
            for one, other in combinations(scaled, 2)
        ]
        if min(squares) == 0:
            raise RefusedError("two points are the same")
        return self.exactly(Fraction(max(squares), min(squares)))

    def example(self) -> Json:
        """Return points of a grid."""
        side = 1
        while side**self.d < self.n:
            side += 1
        return [[i // side**axis % side for axis in range(self.d)] for i in range(self.n)]


def _root_below(number: int, degree: int) -> Fraction:
    """A rational number that is not above the root, and within 2**-BITS of it; by bisection."""
    low, high = 0, (number + 1) << BITS
    while high - low > 1:
        middle = (low + high) // 2
        if middle**degree <= number << (BITS * degree):
            low = middle
        else:
            high = middle
    return Fraction(low, 1 << BITS)
