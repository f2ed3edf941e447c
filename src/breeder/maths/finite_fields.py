"""Kakeya and Nikodym sets in finite fields.

A Kakeya set holds a line in every direction; a Nikodym set holds, for every point of the plane, all
other points of some line through it. Z. Dvir, "On the size of Kakeya sets in finite fields" (2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import ClassVar

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, integer, integer_rows, listing, row_entries
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

Points = tuple[tuple[int, ...], ...]

LARGEST_SPACE = 1 << 18  # points
MOST_DIMENSIONS = 4
LARGEST_NIKODYM = 11
NIKODYM_ROWS = 1 << 14


@dataclass(frozen=True)
class Kakeya(Problem[Points]):
    """Points of F_p^d that hold a line in every direction."""

    d: int
    p: int
    family: ClassVar[str] = "kakeya"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        dimensions = 2 <= self.d <= MOST_DIMENSIONS
        if not dimensions or not _odd_prime(self.p) or self.p**self.d > LARGEST_SPACE:
            raise UserError(
                f"{self.family}: needs a dimension of 2 to {MOST_DIMENSIONS} and an odd prime, "
                f"with at most {LARGEST_SPACE} points in all"
            )

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"As few points of F_{self.p}^{self.d} as possible that hold a line in every direction."
        )

    @property
    def bound(self) -> Bound:
        """B. Bukh and T.-W. Chao, "Sharp density bounds on the finite field Kakeya problem"."""
        least = self.p**self.d / (2 - Fraction(1, self.p)) ** (self.d - 1)
        return Bound(str(math.ceil(least)), "Bukh and Chao, 2021")

    def read(self, data: object) -> Points:
        """Return the points. Rows of d residues, or a mapping with them under `points`."""
        read = integer_rows(data, self.key, self.d, self.p**self.d)
        return tuple(tuple(point) for point in read)

    def write(self, construction: Points) -> Json:
        """Return rows of residues."""
        return [list(point) for point in construction]

    def measure(self, construction: Points) -> Value:
        """Return the number of points, once a line in every direction was found."""
        _distinct(construction, self.p)
        places = [(2 * self.p) ** axis for axis in reversed(range(self.d))]
        held = self._repeated(construction, places)
        # A line meets the hyperplane on which the first coordinate of its direction that is not 0
        # is 0 in one point.
        starts = [
            [_place(point, places) for point in construction if point[axis] == 0]
            for axis in range(self.d)
        ]
        for direction in self.directions():
            steps = [
                _place([t * by % self.p for by in direction], places) for t in range(1, self.p)
            ]
            if not any(_whole(held, start, steps) for start in starts[direction.index(1)]):
                raise RefusedError(f"there is no line in direction {direction}")
        return self.exactly(len(construction))

    def directions(self) -> Iterator[tuple[int, ...]]:
        """Give one vector for every direction: its first number that is not 0 is 1."""
        for zeros in range(self.d):
            for tail in product(range(self.p), repeat=self.d - zeros - 1):
                yield (*([0] * zeros), 1, *tail)

    def example(self) -> Json:
        """Return all (x, t) for which all x_i + t^2 are squares, and the hyperplane t = 0.

        It holds the lines through (a_i^2 / 4) in direction (a, 1), for the sums are (a_i / 2 + t)^2
        (G. Mockenhaupt and T. Tao, 2004).
        """
        squares = {t * t % self.p for t in range(self.p)}
        return [
            [*x, t]
            for t in range(self.p)
            for x in product(range(self.p), repeat=self.d - 1)
            if t == 0 or all((at + t * t) % self.p in squares for at in x)
        ]

    def _repeated(self, points: Points, places: list[int]) -> bytearray:
        """Which points are held, in a space of side 2 p, where steps need no reduction."""
        held = bytearray((2 * self.p) ** self.d)
        for point in points:
            for shift in product((0, self.p), repeat=self.d):
                at = [entry + by for entry, by in zip(point, shift, strict=True)]
                held[_place(at, places)] = 1
        return held


@dataclass(frozen=True)
class Nikodym(Problem[Points]):
    """Points of the plane over F_q, q = p^2, with all but one point of a line through any point.

    F_q is F_p[i] with i^2 the least number that is no square; a + b i is the pair (a, b).
    """

    p: int
    family: ClassVar[str] = "nikodym"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        if not _odd_prime(self.p) or self.p > LARGEST_NIKODYM:
            raise UserError(f"{self.family}: needs an odd prime up to {LARGEST_NIKODYM}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"As few points of the plane over the field of {self.p}^2 numbers as possible so that "
            "through every point of it goes a line whose other points are all among them."
        )

    @property
    def bound(self) -> Bound:
        """No polynomial of degree q - 2 vanishes on all of it."""
        return Bound(str(math.comb(self.p**2, 2)), "polynomial method; Dvir, 2009")

    @property
    def square(self) -> int:
        """What i^2 is: the least number that is no square in F_p."""
        squares = {t * t % self.p for t in range(self.p)}
        return min(set(range(self.p)) - squares)

    def read(self, data: object) -> Points:
        """Return points as rows a, b, c, d for (a + b i, c + d i).

        Rows of two pairs, or a mapping with them under `points`.
        """
        read: list[tuple[int, ...]] = []
        for i, row in enumerate(listing(data, self.key, min(NIKODYM_ROWS, self.p**4))):
            where = f"{self.key}[{i}]"
            pairs = [row_entries(pair, where, 2) for pair in row_entries(row, where, 2)]
            read.append(tuple(integer(entry, where) for pair in pairs for entry in pair))
        return tuple(read)

    def write(self, construction: Points) -> Json:
        """Return rows of two pairs."""
        return [[[a, b], [c, d]] for a, b, c, d in construction]

    def measure(self, construction: Points) -> Value:
        """Return the number of points, once a line through every point of the plane was found."""
        held = _distinct(construction, self.p)
        lines = [self._steps((0, 0), (1, 0))]
        lines += [self._steps((1, 0), (a, b)) for a in range(self.p) for b in range(self.p)]
        for point in product(range(self.p), repeat=4):
            a, b, c, d = point
            if not any(
                all(
                    ((a + e) % self.p, (b + f) % self.p, (c + g) % self.p, (d + h) % self.p) in held
                    for e, f, g, h in steps
                )
                for steps in lines
            ):
                raise RefusedError(f"no line through {point} has all its other points in the set")
        return self.exactly(len(construction))

    def example(self) -> Json:
        """Return the plane without one point."""
        plane = product(range(self.p), repeat=4)
        return self.write(tuple(point for point in plane if any(point)))

    def _steps(self, x: tuple[int, int], y: tuple[int, int]) -> list[tuple[int, ...]]:
        """All multiples of a direction by numbers that are not 0."""
        return [
            (*self._times((a, b), x), *self._times((a, b), y))
            for a in range(self.p)
            for b in range(self.p)
            if a or b
        ]

    def _times(self, one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        (a, b), (c, d) = one, other
        return (a * c + self.square * b * d) % self.p, (a * d + b * c) % self.p


def _place(point: Sequence[int], places: list[int]) -> int:
    return sum(entry * place for entry, place in zip(point, places, strict=True))


def _whole(held: bytearray, start: int, steps: list[int]) -> bool:
    return all(map(held.__getitem__, map(start.__add__, steps)))


def _distinct(points: Points, p: int) -> set[tuple[int, ...]]:
    held = set(points)
    if len(held) < len(points):
        raise RefusedError("a point occurs twice")
    for i, point in enumerate(points):
        if not all(0 <= at < p for at in point):
            raise RefusedError(f"point {i}, {point}, is not in the field")
    return held


def _odd_prime(number: int) -> bool:
    return number > 2 and all(number % k for k in range(2, math.isqrt(number) + 1))
