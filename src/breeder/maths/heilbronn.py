"""Heilbronn's problem: points of which no three span a small triangle.

Known constructions are collected by E. Friedman ("The Heilbronn problem") and, for convex regions,
were searched by M. Beyleveld and others; see the records.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import ClassVar, NamedTuple

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.exact import common_integers
from breeder.maths.intervals import root
from breeder.maths.problem import Problem, Repaired, Value
from breeder.maths.reading import Json, plain, rows
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

MOST_POINTS = 64
MOST_MOVED = Fraction(1, 10**6)


class Point(NamedTuple):
    """A point of the plane."""

    x: Fraction
    y: Fraction


Points = tuple[Point, ...]


class Heilbronn(Problem[Points]):
    """n points in a region; the smallest area of a triangle over the region's."""

    n: int
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        if not 3 <= self.n <= MOST_POINTS:
            raise UserError(f"{self.family}: the number of points must be 3 to {MOST_POINTS}")

    @property
    def bound(self) -> Bound:
        """Any triangulation of the points has n - 2 triangles or more, inside the region."""
        return Bound(f"1/{self.n - 2}", "number of triangles of a triangulation")

    def read(self, data: object) -> Points:
        """Return the points. Rows x, y, or a mapping with them under `points`."""
        read = tuple(Point(*row) for row in rows(data, self.key, 2, MOST_POINTS))
        if len(read) != self.n:
            raise RefusedError(f"expected {self.n} points, got {len(read)}")
        return read

    def write(self, construction: Points) -> Json:
        """Return rows of x, y."""
        return [[plain(entry) for entry in point] for point in construction]

    def measure(self, construction: Points) -> Value:
        """Return the smallest triangle's share of the region."""
        smallest = smallest_triangle(construction)
        if smallest == 0:
            raise RefusedError("three points lie on a line")
        return self.share(construction, smallest)

    @abstractmethod
    def share(self, construction: Points, twice: Fraction) -> Value:
        """Return an area, given doubled, over that of the region, which is checked.

        Raises:
            RefusedError: a point lies outside.
        """


@dataclass(frozen=True)
class HeilbronnConvex(Heilbronn):
    """n points; their convex hull is the region."""

    n: int
    family: ClassVar[str] = "heilbronn_convex"

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.n} points of the plane; maximise the area of the smallest triangle that three "
            "of them span over the area of their convex hull."
        )

    def share(self, construction: Points, twice: Fraction) -> Value:
        """Return the area over the convex hull's, exactly."""
        return self.exactly(twice / doubled_area(convex_hull(construction)))

    def example(self) -> Json:
        """Return points on a parabola."""
        return [[i, i * i] for i in range(self.n)]


@dataclass(frozen=True)
class HeilbronnTriangle(Heilbronn):
    """n points in the equilateral triangle on (0, 0) and (1, 0)."""

    n: int
    family: ClassVar[str] = "heilbronn_triangle"

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.n} points in the triangle (0, 0), (1, 0), (1/2, sqrt(3)/2); maximise the area "
            "of the smallest triangle that three of them span over its area."
        )

    def share(self, construction: Points, twice: Fraction) -> Value:
        """Return the area over the triangle's, sqrt(3) / 4; insides are decided by squaring."""
        for i, point in enumerate(construction):
            if not _inside(point):
                raise RefusedError(f"point {i} is not inside the triangle")
        square = root(Fraction(4, 3))
        return Value(twice * square.lower, twice * square.upper, self.direction)

    def example(self) -> Json:
        """Return points on a parabola that stays inside."""
        return [[0.25 + i / (2 * MOST_POINTS), (i / (2 * MOST_POINTS)) ** 2] for i in range(self.n)]

    def repair(self, construction: Points) -> Repaired[Points]:
        """Draw all points towards the centroid by the least common factor that takes them inside.

        Raises:
            RefusedError: a point would move by more than `MOST_MOVED`.
        """
        if all(map(_inside, construction)):
            return Repaired(construction, Fraction(0))
        centre = Point(Fraction(1, 2), Fraction(2886751, 10**7))
        factor = Fraction(1)
        third = root(3).lower  # the region with the smaller slope lies inside
        for x, y in construction:
            # Each side as: a linear form that is 0 on it and `room` at the centre.
            for form, room in (
                (y, centre.y),
                (third * x - y, third * centre.x - centre.y),
                (third * (1 - x) - y, third * (1 - centre.x) - centre.y),
            ):
                if form < 0:
                    factor = min(factor, room / (room - form))
        # Few binary places, rounded down, keep the numbers short.
        factor = Fraction(factor * 2**80 // 1, 2**80)
        final = tuple(
            Point(*(c + factor * (at - c) for at, c in zip(point, centre, strict=True)))
            for point in construction
        )
        moved = max(
            abs(new - old)
            for after, before in zip(final, construction, strict=True)
            for new, old in zip(after, before, strict=True)
        )
        if moved > MOST_MOVED:
            raise RefusedError("a point is further outside than a repair is for")
        return Repaired(final, moved)


def smallest_triangle(points: Sequence[Point]) -> Fraction:
    """Return the doubled area of the smallest triangle that three of the points span."""
    flat, unit = common_integers([entry for point in points for entry in point])
    xs, ys = flat[::2], flat[1::2]
    smallest = min(
        abs((xs[j] - xs[i]) * (ys[k] - ys[i]) - (xs[k] - xs[i]) * (ys[j] - ys[i]))
        for i, j, k in combinations(range(len(points)), 3)
    )
    return Fraction(smallest, unit * unit)


def convex_hull(points: Sequence[Point]) -> list[Point]:
    """Return the corners of the convex hull, counter-clockwise (A. M. Andrew, 1979)."""
    ordered = sorted(set(points))
    hull: list[Point] = []
    for run in (ordered, ordered[::-1]):
        chain: list[Point] = []
        for point in run:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        hull += chain[:-1]
    return hull


def doubled_area(corners: Sequence[Point]) -> Fraction:
    """Return twice the area of a polygon whose corners go counter-clockwise."""
    return sum(
        (a.x * b.y - b.x * a.y for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)),
        Fraction(0),
    )


def _inside(point: Point) -> bool:
    x, y = point
    return y >= 0 and 0 <= x <= 1 and y * y <= 3 * min(x, 1 - x) ** 2


def _turn(a: Point, b: Point, c: Point) -> Fraction:
    return (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y)
