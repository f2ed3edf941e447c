"""Circle packings in the square and in a rectangle: exact check, and repair by least shrinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.exact import decimal, float_below, root_below, total
from breeder.maths.problem import Problem, Repaired, Value
from breeder.maths.reading import Json, plain, rows
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

MOST_CIRCLES = 400
PI_BELOW = Fraction(314159265, 10**8)


class Circle(NamedTuple):
    """Centre and radius."""

    x: Fraction
    y: Fraction
    radius: Fraction


Packing = tuple[Circle, ...]
Squares = Mapping[tuple[int, int], Fraction]


@dataclass(frozen=True)
class CirclePacking(Problem[Packing]):
    """n circles in the unit square with the largest sum of radii."""

    n: int
    family: ClassVar[str] = "circle_packing"
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "circles"

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MOST_CIRCLES:
            raise UserError(f"{self.family}: the number of circles must be 1 to {MOST_CIRCLES}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.n} circles inside the unit square that do not overlap; "
            "maximise the sum of their radii."
        )

    @property
    def bound(self) -> Bound:
        """The circles' areas fit into 1, so by Cauchy and Schwarz sqrt(n / pi) is never passed."""
        root = root_below(self.n / PI_BELOW) + Fraction(1, 10**9)
        return Bound(decimal(root, 9, up=True), "area, and the Cauchy-Schwarz inequality")

    def read(self, data: object) -> Packing:
        """Return the circles. Rows x, y, radius, or a mapping with them under `circles`."""
        read = tuple(Circle(*row) for row in rows(data, self.key, 3, MOST_CIRCLES))
        if len(read) != self.n:
            raise RefusedError(f"expected {self.n} circles, got {len(read)}")
        for i, circle in enumerate(read):
            if circle.radius <= 0:
                raise RefusedError(f"the radius of circle {i} is not positive")
        return read

    def write(self, construction: Packing) -> Json:
        """Return rows of x, y, radius."""
        return [[plain(entry) for entry in circle] for circle in construction]

    def measure(self, construction: Packing) -> Value:
        """Return the sum of the radii, exactly."""
        self.contained(construction)
        for i, j in combinations(range(self.n), 2):
            one, other = construction[i], construction[j]
            if (one.radius + other.radius) ** 2 > _squared_distance(one, other):
                raise RefusedError(f"circles {i} and {j} overlap")
        return self.exactly(total(circle.radius for circle in construction))

    def contained(self, construction: Packing) -> None:
        """Check that the circles are where they must be.

        Raises:
            RefusedError: one is not.
        """
        for i, (x, y, radius) in enumerate(construction):
            if not (radius <= x <= 1 - radius and radius <= y <= 1 - radius):
                raise RefusedError(f"circle {i} is not inside the square")

    def example(self) -> Json:
        """Return equal circles on a square grid."""
        side = 1
        while side * side < self.n:
            side *= 2  # a power of two, so that the numbers are floats
        step = 1 / side
        return [
            [(i % side + 0.5) * step, (i // side + 0.5) * step, step / 2] for i in range(self.n)
        ]

    def repair(self, construction: Packing) -> Repaired[Packing]:
        """Shrink the circles until the packing holds; centres stay.

        Radii are cut to the distance to the walls; of the ways to take off the overlaps that
        remain, the one of least total is found by a linear program in floats, and what rounding
        left of them is taken off exactly. Radii never grow, and come out as floats.

        Raises:
            RefusedError: a centre lies outside, or a circle has no room left.
        """
        if _holds(self, construction):
            return Repaired(construction, Fraction(0))
        walled = [min(c.radius, c.x, 1 - c.x, c.y, 1 - c.y) for c in construction]
        if min(walled) <= 0:
            raise RefusedError(f"circle {walled.index(min(walled))} has its centre outside")
        return moved_from(construction, parted(construction, walled))


@dataclass(frozen=True)
class RectanglePacking(CirclePacking):
    """n circles in a rectangle of perimeter 4, whose shape is free."""

    family: ClassVar[str] = "circles_in_rectangle"

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.n} circles that do not overlap inside a rectangle of perimeter 4; "
            "maximise the sum of their radii."
        )

    def contained(self, construction: Packing) -> None:
        """Check the rectangle around the circles, wherever it lies.

        Raises:
            RefusedError: its perimeter is above 4.
        """
        over = sum(_extent(construction)) - 2
        if over > 0:
            raise RefusedError(f"the rectangle around them has perimeter 4 + {float(2 * over):.3g}")

    def repair(self, construction: Packing) -> Repaired[Packing]:
        """Part the circles as in the square, then scale everything down to perimeter 4.

        Raises:
            RefusedError: a circle has no room left.
        """
        if _holds(self, construction):
            return Repaired(construction, Fraction(0))
        final = parted(construction, [circle.radius for circle in construction])
        half = sum(_extent(final))
        if half > 2:
            # Room for the rounding of the centres to floats.
            scale = Fraction(2) / half - Fraction(1, 1 << 49)
            shrunk = [Circle(*(Fraction(float(scale * at)) for at in c)) for c in final]
            final = parted(shrunk, [circle.radius for circle in shrunk])
        return moved_from(construction, final)


def parted(circles: Sequence[Circle], radii: Sequence[Fraction]) -> Packing:
    """Return circles on the same centres that do not overlap, with radii at most as given.

    Raises:
        RefusedError: a circle has no room left.
    """
    squares = {
        (i, j): _squared_distance(circles[i], circles[j])
        for i, j in combinations(range(len(circles)), 2)
    }
    tries = (separated(start, squares) for start in (radii, least_shrink(radii, squares)))
    kept = [float_below(radius) for radius in max(tries, key=sum)]
    if min(kept) <= 0.0:
        raise RefusedError(f"circle {kept.index(min(kept))} has no room left")
    return tuple(
        Circle(c.x, c.y, Fraction(radius)) for c, radius in zip(circles, kept, strict=True)
    )


def separated(radii: Sequence[Fraction], squares: Squares) -> list[Fraction]:
    """Take every overlap off both radii in equal parts, pair by pair; exact.

    Args:
        radii: radius of each circle, not negative.
        squares: squared distance of the centres of each pair.
    """
    result = list(radii)
    for (i, j), square in squares.items():
        reach = result[i] + result[j]
        if reach * reach > square:
            over = reach - root_below(square)
            share = min(max(over / 2, over - result[j]), result[i])
            result[i] -= share
            result[j] -= over - share
    return result


def least_shrink(radii: Sequence[Fraction], squares: Squares) -> list[Fraction]:
    """Shrink radii by the least total that parts all pairs, but for rounding.

    The linear program is stated in units of the largest overlap, for the solver's tolerances are
    absolute. Arguments as in `separated`.
    """
    from scipy.optimize import linprog

    overlaps = {
        pair: float(radii[pair[0]] + radii[pair[1]] - root_below(square))
        for pair, square in squares.items()
        if (radii[pair[0]] + radii[pair[1]]) ** 2 > square
    }
    unit = max(overlaps.values(), default=0.0)
    if unit <= 0.0:
        return list(radii)
    touching = np.zeros((len(overlaps), len(radii)))
    for row, pair in enumerate(overlaps):
        touching[row, list(pair)] = -1.0
    answer = linprog(
        np.ones(len(radii)),
        touching,
        [-over / unit for over in overlaps.values()],
        bounds=[(0.0, float(radius) / unit) for radius in radii],
    )
    if answer.x is None:  # the exact step alone will do
        return list(radii)
    return [
        max(radius - Fraction(float(less)) * Fraction(unit), Fraction(0))
        for radius, less in zip(radii, answer.x, strict=True)
    ]


def moved_from(old: Packing, new: Packing) -> Repaired[Packing]:
    """Return a repaired packing with the largest change of any of its numbers."""
    changes = (
        abs(one - other)
        for before, after in zip(old, new, strict=True)
        for one, other in zip(before, after, strict=True)
    )
    return Repaired(new, max(changes))


def _holds(problem: CirclePacking, construction: Packing) -> bool:
    try:
        problem.measure(construction)
    except RefusedError:
        return False
    return True


def _extent(circles: Sequence[Circle]) -> tuple[Fraction, Fraction]:
    """Width and height of the rectangle around circles."""
    return (
        max(c.x + c.radius for c in circles) - min(c.x - c.radius for c in circles),
        max(c.y + c.radius for c in circles) - min(c.y - c.radius for c in circles),
    )


def _squared_distance(one: Circle, other: Circle) -> Fraction:
    return (one.x - other.x) ** 2 + (one.y - other.y) ** 2
