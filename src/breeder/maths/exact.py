"""Exact arithmetic that verifiers share: common denominators, convolutions, rounding, roots."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction

from breeder.maths.refusal import RefusedError

ROOT_BITS = 128  # a square root is taken down to this many binary places
MOST_DENOMINATOR_BITS = 4096  # of a common denominator; floats need far less
MOST_PRODUCT_DIGITS = 1 << 25  # of a convolution packed into one number
LOG10_OF_2 = math.log10(2)
# Nothing is ever rounded: more digits than any number has, and an error where that fails.
EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation])


def common_integers(values: Iterable[Fraction]) -> tuple[list[int], int]:
    """Return integers and their common denominator: `values[i] == integers[i] / denominator`.

    Raises:
        RefusedError: the denominators were chosen to have no common one of a reasonable length.
    """
    values, denominator = tuple(values), 1
    for value in values:
        denominator = math.lcm(denominator, value.denominator)
        if denominator.bit_length() > MOST_DENOMINATOR_BITS:
            raise RefusedError(
                f"the numbers have no common denominator of {MOST_DENOMINATOR_BITS} bits"
            )
    return [v.numerator * (denominator // v.denominator) for v in values], denominator


def convolution(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Return the full linear convolution of two integer sequences, exactly.

    Kronecker substitution: both are evaluated at a power of ten that is too large for neighbouring
    coefficients to touch, multiplied as numbers, and read off again (D. Harvey, "Faster polynomial
    multiplication via multipoint Kronecker substitution", 2009, section 2). The product is taken by
    `decimal`, which multiplies exactly in quasi-linear time; Python's integers take longer.

    Args:
        one: n integers of any sign, n > 0.
        other: m integers of any sign, m > 0.

    Returns:
        n + m - 1 integers.

    Raises:
        RefusedError: the integers are too many and too long.
    """
    largest = max(map(abs, one)) * max(map(abs, other)) * min(len(one), len(other))
    width = int(largest.bit_length() * LOG10_OF_2) + 3  # digits per coefficient, one for the sign
    count = len(one) + len(other) - 1
    if width * count > MOST_PRODUCT_DIGITS:
        raise RefusedError(f"{count} products of {width} digits are too many to verify")
    product = EXACT.multiply(_packed(one, width), _packed(other, width))
    # Half of the base is added to every coefficient, which makes all of them digits.
    half = 5 * 10 ** (width - 1)
    digits = str(EXACT.add(product, Decimal(str(half) * count))).zfill(width * count)
    return [int(digits[at - width : at]) - half for at in range(width * count, 0, -width)]


def _packed(values: Sequence[int], width: int) -> Decimal:
    above = "".join(str(max(value, 0)).zfill(width) for value in reversed(values))
    below = "".join(str(max(-value, 0)).zfill(width) for value in reversed(values))
    return EXACT.subtract(Decimal(above), Decimal(below))


def root_below(square: Fraction) -> Fraction:
    """Return a fraction not above the square root of `square`, and within 2**-ROOT_BITS of it."""
    scaled = (square.numerator << (2 * ROOT_BITS)) // square.denominator
    return Fraction(math.isqrt(scaled), 1 << ROOT_BITS)


def float_below(value: Fraction) -> float:
    """Return the largest float that is not above `value`; minus infinity where none is."""
    try:
        nearest = float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -math.inf
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def float_above(value: Fraction) -> float:
    """Return the smallest float that is not below `value`."""
    return -float_below(-value)


def decimal(value: Fraction, digits: int, *, up: bool) -> str:
    """Return `value` with so many decimal places, rounded up or down; an integer in full."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = value * 10**digits
    whole = math.ceil(scaled) if up else math.floor(scaled)
    sign = "-" if whole < 0 else ""
    places = str(abs(whole)).rjust(digits + 1, "0")
    return f"{sign}{places[: len(places) - digits]}.{places[len(places) - digits :]}".rstrip(".")


def total(values: Iterable[Fraction]) -> Fraction:
    """Return the exact sum; faster than adding fractions one by one."""
    integers, denominator = common_integers(values)
    return Fraction(sum(integers), denominator)
