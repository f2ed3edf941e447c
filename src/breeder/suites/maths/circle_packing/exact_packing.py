"""Exact check and repair of circle packings in the unit square. Trusted side only.

Every float is the fraction it stands for; nothing here has a tolerance. What overlaps by rounding
is shrunk by just enough, so a packing is worth what is left of it when all constraints hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from breeder.evaluation.candidate import InvalidAnswerError

Squares = Mapping[tuple[int, int], Fraction]

LARGEST_RADIUS = 1e9  # far more than any repair is for; sums of larger ones are no floats
ROOT_BITS = 128  # a square root is taken down to this many binary places


class Circle(NamedTuple):
    """Centre and radius as the exact values of floats."""

    x: Fraction
    y: Fraction
    radius: Fraction


class Packing(NamedTuple):
    """A packing that holds exactly.

    Attributes:
        rows: [x, y, radius] of each circle as floats, in the order given.
        total: sum of the radii, rounded down to a float.
        shrunk: by how much the repair lowered the sum of the radii, rounded to a float.
    """

    rows: list[list[float]]
    total: float
    shrunk: float


def checked_rows(answer: object, n: int) -> NDArray[np.float64]:
    """Return an answer as (n, 3) finite floats.

    Raises:
        InvalidAnswerError: wrong shape or type, not finite, a centre outside the unit square, or a
            radius that is not positive.
    """
    if isinstance(answer, list):
        if not all(isinstance(row, list) and _three_floats(row) for row in answer):
            raise InvalidAnswerError("expected rows of three floats, got a list of something else")
        answer = np.array(answer)
    if not isinstance(answer, np.ndarray) or answer.shape != (n, 3):
        shape = getattr(answer, "shape", type(answer).__name__)
        raise InvalidAnswerError(f"expected an array of shape ({n}, 3), got {shape}")
    if answer.dtype not in (np.float64, np.float32):
        raise InvalidAnswerError(f"expected floats, got {answer.dtype}")
    rows: NDArray[np.float64] = answer.astype(np.float64)
    if not np.isfinite(rows).all():
        raise InvalidAnswerError("a coordinate or a radius is not finite")
    if (rows[:, :2] < 0.0).any() or (rows[:, :2] > 1.0).any():
        raise InvalidAnswerError("a centre lies outside the unit square")
    if (rows[:, 2] <= 0.0).any():
        raise InvalidAnswerError("a radius is not positive")
    if (rows[:, 2] > LARGEST_RADIUS).any():
        raise InvalidAnswerError(f"a radius is above {LARGEST_RADIUS:g}, the square has side 1")
    return rows


def repair(answer: object, n: int) -> Packing:
    """Shrink the circles of an answer until it is exactly valid.

    Centres stay. Radii are cut to the distance to the walls; of the ways to take off the overlaps
    that remain, the one of least total is found by a linear program in floats, and what rounding
    left of them is taken off exactly. Radii never grow, and an answer that is valid as it stands
    comes back unchanged.

    Args:
        answer: (n, 3) array, or list of rows, of x, y, radius.
        n: number of circles.

    Raises:
        InvalidAnswerError: it is no packing of n circles at all, or a circle has no room left.
    """
    rows = checked_rows(answer, n)
    circles = [Circle(*(Fraction(value) for value in row)) for row in rows.tolist()]
    before = sum((circle.radius for circle in circles), Fraction(0))
    walled = [min(c.radius, c.x, 1 - c.x, c.y, 1 - c.y) for c in circles]
    squares = {
        (i, j): _squared_distance(circles[i], circles[j]) for i, j in combinations(range(n), 2)
    }
    radii = max(
        (separated(start, squares) for start in (walled, least_shrink(walled, squares))), key=sum
    )
    kept = [rounded_down(radius) for radius in radii]
    if min(kept) <= 0.0:
        raise InvalidAnswerError(f"circle {kept.index(min(kept))} has no room left")
    final = [[x, y, radius] for (x, y, _), radius in zip(rows.tolist(), kept, strict=True)]
    verify(final)
    after = sum((Fraction(radius) for radius in kept), Fraction(0))
    return Packing(final, rounded_down(after), float(before - after))


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
        bounds=[(0.0, max(float(radius) / unit, 0.0)) for radius in radii],
    )
    if answer.x is None:  # the exact step alone will do
        return list(radii)
    return [
        max(radius - Fraction(float(less)) * Fraction(unit), Fraction(0))
        for radius, less in zip(radii, answer.x, strict=True)
    ]


def verify(rows: Sequence[Sequence[float]]) -> None:
    """Check containment and separation of finished rows in exact arithmetic.

    Raises:
        InvalidAnswerError: one of them does not hold.
    """
    circles = [Circle(*(Fraction(value) for value in row)) for row in rows]
    for index, (x, y, radius) in enumerate(circles):
        if not (0 < radius <= x <= 1 - radius and radius <= y <= 1 - radius):
            raise InvalidAnswerError(f"circle {index} is not inside the square")
    for i, j in combinations(range(len(circles)), 2):
        reach = circles[i].radius + circles[j].radius
        if reach * reach > _squared_distance(circles[i], circles[j]):
            raise InvalidAnswerError(f"circles {i} and {j} overlap")


def exact_total(answer: object, n: int) -> float:
    """Return the sum of the radii of a packing that holds as it stands, rounded down.

    Raises:
        InvalidAnswerError: it is no packing of n circles, or it does not hold.
    """
    rows = checked_rows(answer, n).tolist()
    verify(rows)
    return rounded_down(sum((Fraction(radius) for _, _, radius in rows), Fraction(0)))


def rounded_down(value: Fraction) -> float:
    """Return the largest float that is not above `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def root_below(square: Fraction) -> Fraction:
    """Return a fraction not above the square root of `square`, and within 2**-ROOT_BITS of it."""
    scaled = (square.numerator << (2 * ROOT_BITS)) // square.denominator
    return Fraction(math.isqrt(scaled), 1 << ROOT_BITS)


def _three_floats(row: Sequence[object]) -> bool:
    return len(row) == 3 and all(type(value) is float for value in row)


def _squared_distance(one: Circle, other: Circle) -> Fraction:
    return (one.x - other.x) ** 2 + (one.y - other.y) ** 2
