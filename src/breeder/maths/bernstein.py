"""Bounds of polynomials on an interval by their Bernstein coefficients, in fixed point.

A polynomial lies between the least and the largest of its Bernstein coefficients, and its first and
last one are its values at the ends (G. Farin, "Curves and surfaces for CAGD"). Halving the interval
brings them quadratically close. Numbers are integers over 2**BITS, rounded up throughout, so every
coefficient is at least the true one, by at most one unit and one more for each degree and halving.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from breeder.maths.intervals import Interval

BITS = 192
DEEPEST = 80  # halvings
MOST_PIECES = 4000
CLOSE = 1 << (BITS - 64)  # a maximum is found to within 2**-64, relative to what is above 1


class _Piece(NamedTuple):
    """A part of the interval, in the order of the largest value that it may hold."""

    negated: int
    depth: int
    number: int
    coefficients: list[int]


def coefficients(powers: Sequence[Fraction]) -> list[int]:
    """Return the Bernstein coefficients on 0 to 1 of a polynomial, rounded up to fixed point.

    Args:
        powers: its n + 1 coefficients, the constant one first.
    """
    degree = len(powers) - 1
    shares = [power / math.comb(degree, i) for i, power in enumerate(powers)]
    return [
        math.ceil(sum(math.comb(j, i) * shares[i] for i in range(j + 1)) * (1 << BITS))
        for j in range(degree + 1)
    ]


def maximum(powers: Sequence[Fraction]) -> Interval:
    """Return an enclosure of the largest value of a polynomial on 0 to 1.

    It is narrow unless the polynomial is nearly as large in very many places.
    """
    first = coefficients(powers)
    unit = len(first)  # bounds the rounding of one halving
    floor = max(first[0], first[-1]) - 1
    pieces, made = [_Piece(-max(first), 0, 0, first)], 1
    while -pieces[0].negated - floor > max(CLOSE, floor >> 64):
        if pieces[0].depth == DEEPEST or made > MOST_PIECES:
            break
        _, depth, _, whole = heapq.heappop(pieces)
        for half in _halves(whole):
            floor = max(floor, max(half[0], half[-1]) - 1 - unit * (depth + 1))
            heapq.heappush(pieces, _Piece(-max(half), depth + 1, made, half))
            made += 1
    return Interval(Fraction(floor, 1 << BITS), Fraction(-pieces[0].negated, 1 << BITS))


def negative(first: list[int]) -> bool:
    """Return whether a polynomial is proved to be below 0 on all of 0 to 1.

    Args:
        first: numbers not below its Bernstein coefficients, over any common scale.
    """
    pieces, made = [(0, first)], 1
    while pieces:
        depth, whole = pieces.pop()
        if max(whole) < 0:
            continue
        if whole[0] >= 0 or whole[-1] >= 0 or depth == DEEPEST or made > MOST_PIECES:
            return False
        pieces += [(depth + 1, half) for half in _halves(whole)]
        made += 2
    return True


def _halves(whole: list[int]) -> tuple[list[int], list[int]]:
    """The coefficients on both halves, by P. de Casteljau's scheme."""
    left, right, row = [whole[0]], [whole[-1]], whole
    while len(row) > 1:
        row = [(a + b + 1) >> 1 for a, b in pairwise(row)]
        left.append(row[0])
        right.append(row[-1])
    return left, right[::-1]
