"""Unit hexagons packed into a small hexagon: proved by separating axes, repaired by pushing apart.

Records are collected by E. Friedman ("Hexagons in hexagons"). Two convex polygons do not overlap
where a normal of an edge of one separates them; with angles in degrees as rationals, the sines
and cosines are proved intervals, and a gap counts where its lower end is not negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import ClassVar, NamedTuple

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.exact import decimal, root_below
from breeder.maths.intervals import Interval, cosine, largest, root, sine
from breeder.maths.problem import Problem, Repaired, Value
from breeder.maths.reading import Json, number, plain, rows
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

MOST_HEXAGONS = 64
LARGEST_ANGLE = 10**6
MOST_PUSHED = Fraction(1, 10**6)
ANGLE = "outer_angle_deg"


class Hexagon(NamedTuple):
    """A regular hexagon of side 1: its centre, and the direction of a corner in degrees."""

    x: Fraction
    y: Fraction
    degrees: Fraction


class Packing(NamedTuple):
    """Hexagons, and the direction of a corner of the hexagon around them."""

    hexagons: tuple[Hexagon, ...]
    outer: Fraction


@dataclass(frozen=True)
class HexagonPacking(Problem[Packing]):
    """n unit hexagons in a regular hexagon; its side."""

    n: int
    family: ClassVar[str] = "hexagon_packing"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "hexagons"

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MOST_HEXAGONS:
            raise UserError(f"{self.family}: the number of hexagons must be 1 to {MOST_HEXAGONS}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.n} regular hexagons of side 1 that do not overlap inside a regular hexagon; "
            "minimise its side."
        )

    @property
    def bound(self) -> Bound:
        """The areas fit."""
        return Bound(decimal(root_below(Fraction(self.n)), 12, up=False), "area")

    def read(self, data: object) -> Packing:
        """Return the packing.

        Rows x, y, angle of a corner in degrees; or a mapping with them under `hexagons`, and the
        angle of a corner of the hexagon around them under `outer_angle_deg`, else 0. Where it lies
        and how large it is follows, and is not looked at.
        """
        if isinstance(data, Mapping) and isinstance(data.get(self.key), Mapping):
            data = data[self.key]
        outer = number(data.get(ANGLE, 0), ANGLE) if isinstance(data, Mapping) else Fraction(0)
        read = tuple(Hexagon(*row) for row in rows(data, self.key, 3, MOST_HEXAGONS))
        if len(read) != self.n:
            raise RefusedError(f"expected {self.n} hexagons, got {len(read)}")
        if max(abs(outer), *(abs(hexagon.degrees) for hexagon in read)) > LARGEST_ANGLE:
            raise RefusedError(f"an angle is above {LARGEST_ANGLE} degrees")
        return Packing(read, outer)

    def write(self, construction: Packing) -> Json:
        """Return a mapping with the rows and the angle."""
        hexagons: Json = [[plain(at) for at in hexagon] for hexagon in construction.hexagons]
        return {self.key: hexagons, ANGLE: plain(construction.outer)}

    def measure(self, construction: Packing) -> Value:
        """Return the side of the smallest hexagon around them, once all pairs are proved apart."""
        for i, j in combinations(range(self.n), 2):
            distance, reach = _apart(construction.hexagons[i], construction.hexagons[j])
            if distance.lower < reach.upper:
                raise RefusedError(f"hexagons {i} and {j} are not proved to be apart")
        side = outer_side(construction)
        return Value(side.lower, side.upper, self.direction)

    def example(self) -> Json:
        """Return hexagons in rows, with some room."""
        columns = math.isqrt(self.n - 1) + 1
        return [[1.75 * (i % columns), 2.125 * (i // columns), 30] for i in range(self.n)]

    def repair(self, construction: Packing) -> Repaired[Packing]:
        """Push all centres away from their mean by the least common factor that parts all pairs.

        Raises:
            RefusedError: the factor would have to be above 1 + `MOST_PUSHED`.
        """
        factor = Fraction(1)
        hexagons = construction.hexagons
        for i, j in combinations(range(self.n), 2):
            distance, reach = _apart(hexagons[i], hexagons[j])
            if distance.lower < reach.upper:
                if distance.lower <= 0 or reach.upper > (1 + MOST_PUSHED) * distance.lower:
                    raise RefusedError(f"hexagons {i} and {j} overlap by more than a repair is for")
                factor = max(factor, reach.upper / distance.lower)
        if factor == 1:
            return Repaired(construction, Fraction(0))
        # Few binary places, rounded up, keep the numbers short.
        factor = Fraction(math.ceil(factor * 2**80), 2**80)
        x, y = (sum(h[axis] for h in hexagons) / self.n for axis in (0, 1))
        x, y = Fraction(round(x * 2**20), 2**20), Fraction(round(y * 2**20), 2**20)
        pushed = tuple(
            Hexagon(x + factor * (h.x - x), y + factor * (h.y - y), h.degrees) for h in hexagons
        )
        moved = max(
            max(abs(new.x - old.x), abs(new.y - old.y))
            for new, old in zip(pushed, hexagons, strict=True)
        )
        return Repaired(Packing(pushed, construction.outer), moved)


def outer_side(packing: Packing) -> Interval:
    """Return the side of the smallest regular hexagon, at its angle, around a packing.

    Its distances from the centre c to the sides are h = sqrt(3) / 2 side. With the extents
    [b_k, a_k] of the packing along the normals at 30, 90 and 150 degrees from a corner, it needs
    a_k - h <= c_k <= b_k + h; and c_90 = c_30 + c_150 must be possible.
    """
    low: list[Interval] = []
    high: list[Interval] = []
    for normal in (packing.outer + 30, packing.outer + 90, packing.outer + 150):
        across = [_along(h, normal) for h in packing.hexagons]
        reach = [_support(normal - h.degrees) for h in packing.hexagons]
        high.append(largest(*(at + to for at, to in zip(across, reach, strict=True))))
        low.append(-largest(*(to - at for at, to in zip(across, reach, strict=True))))
    needed = [(a - b) * Fraction(1, 2) for a, b in zip(high, low, strict=True)]
    needed.append((high[0] + high[2] - low[1]) * Fraction(1, 3))
    needed.append((high[1] - low[0] - low[2]) * Fraction(1, 3))
    return largest(*needed) * root(Fraction(4, 3))


def _apart(one: Hexagon, other: Hexagon) -> tuple[Interval, Interval]:
    """How far apart the centres are along the best axis, and how far apart they have to be.

    Both are relative to each other: the axis is the one with the largest gap between them.
    """
    apart = Hexagon(other.x - one.x, other.y - one.y, Fraction(0))
    side = root(Fraction(3, 4))
    reach = side + _support(other.degrees - one.degrees + 30)
    best = largest(
        *(
            abs(_along(apart, hexagon.degrees + normal))
            for hexagon in (one, other)
            for normal in (30, 90, 150)
        )
    )
    return best, reach


def _along(hexagon: Hexagon, degrees: Fraction) -> Interval:
    """Where the centre lies along a direction."""
    return cosine(degrees) * hexagon.x + sine(degrees) * hexagon.y


def _support(degrees: Fraction) -> Interval:
    """How far a unit hexagon reaches in a direction that is so far from one of its corners."""
    return cosine((degrees + 30) % 60 - 30)
