"""Tammes' problem: points on the sphere that are far apart."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import ClassVar

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.exact import decimal
from breeder.maths.intervals import Interval, enclosed, largest, root, sine
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, plain, rows
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

Points = tuple[tuple[Fraction, Fraction, Fraction], ...]

MOST_POINTS = 256


@dataclass(frozen=True)
class Tammes(Problem[Points]):
    """n points of the unit sphere; the smallest of their distances."""

    n: int
    family: ClassVar[str] = "tammes"
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        if not 3 <= self.n <= MOST_POINTS:
            raise UserError(f"{self.family}: the number of points must be 3 to {MOST_POINTS}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.n} vectors of space other than 0, divided by their lengths; maximise the "
            "smallest of their distances."
        )

    @property
    def bound(self) -> Bound:
        """L. Fejes Tóth, 1943: the square is at most 4 - 1 / sin(30 n / (n - 2) degrees)^2."""
        least = sine(Fraction(30 * self.n, self.n - 2))
        most = root(enclosed(4) - enclosed(1) / (least * least)).upper
        return Bound(decimal(most, 12, up=True), "Fejes Tóth, 1943")

    def read(self, data: object) -> Points:
        """Return the vectors. Rows x, y, z, or a mapping with them under `points`."""
        read = tuple((x, y, z) for x, y, z in rows(data, self.key, 3, MOST_POINTS))
        if len(read) != self.n:
            raise RefusedError(f"expected {self.n} points, got {len(read)}")
        for i, vector in enumerate(read):
            if not any(vector):
                raise RefusedError(f"vector {i} is 0")
        return read

    def write(self, construction: Points) -> Json:
        """Return rows of x, y, z."""
        return [[plain(entry) for entry in point] for point in construction]

    def measure(self, construction: Points) -> Value:
        """Return the smallest distance, an interval around a root.

        The square of the distance of two points is 2 - 2 c, where c = <x, y> / (|x| |y|).
        """
        squares = [_product(point, point) for point in construction]
        nearest = Interval(Fraction(-1), Fraction(-1))
        for i, j in combinations(range(self.n), 2):
            inner = _product(construction[i], construction[j])
            signed = inner * abs(inner) / (squares[i] * squares[j])  # c |c|, which grows with c
            cosine = root(signed) if signed >= 0 else -root(-signed)
            nearest = largest(nearest, cosine)
        if nearest.upper >= 1:
            raise RefusedError("two points are the same")
        distance = root((enclosed(1) - nearest) * 2)
        return Value(distance.lower, distance.upper, self.direction)

    def example(self) -> Json:
        """Return points on a spiral, (1 - t^2, 2 t, s) for growing t."""
        return [[1 - t * t, 2 * t, 3 * t - t * t] for t in range(self.n)]


def _product(one: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> Fraction:
    return sum((a * b for a, b in zip(one, other, strict=True)), Fraction(0))
