"""Certified enclosures: intervals with rational ends for roots, angles, logarithms, exponentials.

Series are summed in fixed point with `BITS` binary places. Every one of them has fewer than 2**9
terms, none of them above 2**12 in size, and each is off by a few units in the last place and by
what it inherits from the one before; `SLACK` is 2**48 units and covers that many times over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

BITS = 256
ONE = 1 << BITS
SLACK = Fraction(1, 1 << (BITS - 48))


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `lower` to `upper`."""

    lower: Fraction
    upper: Fraction

    def __add__(self, other: Interval | Fraction | int) -> Interval:
        """All sums."""
        added = enclosed(other)
        return Interval(self.lower + added.lower, self.upper + added.upper)

    def __neg__(self) -> Interval:
        """All negated numbers."""
        return Interval(-self.upper, -self.lower)

    def __sub__(self, other: Interval | Fraction | int) -> Interval:
        """All differences."""
        return self + -enclosed(other)

    def __mul__(self, other: Interval | Fraction | int) -> Interval:
        """All products."""
        factor = enclosed(other)
        ends = [a * b for a in (self.lower, self.upper) for b in (factor.lower, factor.upper)]
        return Interval(min(ends), max(ends))

    def __truediv__(self, other: Interval | Fraction | int) -> Interval:
        """All quotients.

        Raises:
            ZeroDivisionError: 0 lies in the divisor.
        """
        divisor = enclosed(other)
        if divisor.lower <= 0 <= divisor.upper:
            raise ZeroDivisionError("0 lies in the divisor")
        return self * Interval(1 / divisor.upper, 1 / divisor.lower)

    def __abs__(self) -> Interval:
        """All sizes."""
        if self.lower >= 0:
            return self
        return -self if self.upper <= 0 else Interval(Fraction(0), max(-self.lower, self.upper))


def enclosed(value: Interval | Fraction | int) -> Interval:
    """Return a number as an interval; an interval as it is."""
    return value if isinstance(value, Interval) else Interval(Fraction(value), Fraction(value))


def largest(*values: Interval) -> Interval:
    """Return what the maximum of numbers out of these intervals may be."""
    return Interval(max(v.lower for v in values), max(v.upper for v in values))


def rounded(value: Interval) -> Interval:
    """Return an interval around `value` whose ends have `BITS` binary places."""
    return Interval(
        Fraction(math.floor(value.lower * ONE), ONE), Fraction(math.ceil(value.upper * ONE), ONE)
    )


def root(value: Interval | Fraction | int) -> Interval:
    """Return the square roots; negative numbers count as 0."""
    inside = enclosed(value)
    return Interval(_root_below(inside.lower), _root_below(inside.upper) + Fraction(1, ONE))


@cache
def pi() -> Interval:
    """Return pi by Machin's formula, 16 atan(1/5) - 4 atan(1/239)."""
    return _around(16 * _arctangent(5) - 4 * _arctangent(239))


def cosine(degrees: Fraction) -> Interval:
    """Return the cosine of an angle in degrees."""
    return sine(degrees + 90)


@lru_cache(maxsize=4096)
def sine(degrees: Fraction) -> Interval:
    """Return the sine of an angle in degrees. It is first brought to -90 to 90, exactly.

    The lower end of pi's enclosure then puts the angle off by half of `SLACK`, and the sine by no
    more; the other half is for the series.
    """
    turned = (degrees + 90) % 360 - 90
    angle = pi() * (Fraction(180 - turned if turned > 90 else turned) / 180)
    x = math.floor(angle.lower * ONE)
    square = x * x >> BITS
    term, partial, k = x, x, 1
    while term not in (0, -1):
        term = -(term * square >> BITS) // ((k + 1) * (k + 2))
        partial, k = partial + term, k + 2
    return _around(partial)


def logarithm(value: Fraction | int) -> Interval:
    """Return the natural logarithm of a positive number."""
    value = Fraction(value)
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    power = Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)
    return _near_logarithm(value / power) + _near_logarithm(Fraction(2)) * exponent


def exponential(value: Fraction) -> Interval:
    """Return e to a power that is not positive."""
    halvings = max(0, math.ceil(-value)).bit_length()
    x = math.floor(value * ONE) >> halvings
    term, partial, k = ONE, ONE, 1
    while term not in (0, -1):
        term = (term * x >> BITS) // k
        partial, k = partial + term, k + 1
    found = _around(partial)
    for _ in range(halvings):
        found = rounded(found * found)
    return found


def _near_logarithm(value: Fraction) -> Interval:
    """The logarithm of a number between 1/2 and 2, as 2 artanh((x - 1) / (x + 1))."""
    z = math.floor((value - 1) / (value + 1) * ONE)
    square = z * z >> BITS
    power, partial, k = z, z, 1
    while power not in (0, -1):
        power, k = power * square >> BITS, k + 2
        partial += power // k
    return _around(2 * partial)


def _arctangent(inverse: int) -> int:
    """The arc tangent of 1 / inverse in fixed point."""
    power = ONE // inverse
    partial, k, sign = power, 1, 1
    while power:
        power, k, sign = power // (inverse * inverse), k + 2, -sign
        partial += sign * (power // k)
    return partial


def _root_below(value: Fraction) -> Fraction:
    if value <= 0:
        return Fraction(0)
    return Fraction(math.isqrt((value.numerator << (2 * BITS)) // value.denominator), ONE)


def _around(scaled: int) -> Interval:
    middle = Fraction(scaled, ONE)
    return Interval(middle - SLACK, middle + SLACK)
