import math
from fractions import Fraction

import pytest

from breeder.maths.intervals import (
    Interval,
    cosine,
    enclosed,
    exponential,
    largest,
    logarithm,
    pi,
    root,
    rounded,
    sine,
)

NARROW = Fraction(1, 1 << 180)
# Decimals from tables.
PI = Fraction("3.14159265358979323846264338327950288419716939937510")
LOG_2 = Fraction("0.69314718055994530941723212145817656807550013436026")
LOG_10 = Fraction("2.30258509299404568401799145468436420760110148862877")
E = Fraction("2.71828182845904523536028747135266249775724709369995")
LAST = Fraction(1, 10**50)


def holds(interval, value, within=LAST):
    return (
        interval.lower - within <= value <= interval.upper + within
        and interval.upper - interval.lower < NARROW
    )


def test_known_numbers_are_enclosed():
    assert holds(pi(), PI)
    assert holds(logarithm(2), LOG_2)
    assert holds(logarithm(10), LOG_10)
    assert holds(exponential(Fraction(-1)), 1 / E)
    assert holds(root(2) * root(2), 2)


def test_exact_angles_are_enclosed():
    for degrees, value in {0: 0, 30: 1, 90: 2, 150: 1, 180: 0, 210: -1, 270: -2, -90: -2}.items():
        for turns in (0, 360, -3600):
            assert holds(sine(Fraction(degrees + turns)), Fraction(value, 2), 0)
    assert holds(cosine(Fraction(60)), Fraction(1, 2), 0)
    assert holds(cosine(Fraction(45)) * cosine(Fraction(45)), Fraction(1, 2), 0)


@pytest.mark.parametrize("degrees", [1, 17, 89.5, 123.25, -300, 1e6])
def test_sine_and_cosine_lie_on_the_circle_and_agree_with_floats(degrees):
    angle = Fraction(degrees)
    sin, cos = sine(angle), cosine(angle)
    assert holds(sin * sin + cos * cos, 1, 0)
    assert float(sin.lower) == pytest.approx(math.sin(math.radians(degrees % 360)), abs=1e-12)


@pytest.mark.parametrize(
    "value", [1, 3, 10**60, Fraction(1, 7), Fraction(10**30, 3), Fraction(2, 3)]
)
def test_a_logarithm_agrees_with_floats(value):
    assert float(logarithm(value).lower) == pytest.approx(math.log(value), rel=1e-14, abs=1e-15)


def test_a_logarithm_of_a_product_is_the_sum():
    for a, b in ((7, 11), (2, 3), (Fraction(5, 9), 10**20)):
        total = logarithm(a) + logarithm(b)
        whole = logarithm(a * b)
        assert total.lower <= whole.upper
        assert whole.lower <= total.upper


@pytest.mark.parametrize("power", [0, -0.25, -1, -20, -63.5])
def test_an_exponential_is_undone_by_the_logarithm(power):
    found = exponential(Fraction(power))
    assert logarithm(found.lower).lower <= Fraction(power) <= logarithm(found.upper).upper
    assert float(found.lower) == pytest.approx(math.exp(power), rel=1e-14)


def test_arithmetic_encloses_all_results():
    one, other = Interval(Fraction(-1), Fraction(2)), Interval(Fraction(3), Fraction(4))
    assert one + other == Interval(Fraction(2), Fraction(6))
    assert one - other == Interval(Fraction(-5), Fraction(-1))
    assert one * other == Interval(Fraction(-4), Fraction(8))
    assert one / other == Interval(Fraction(-1, 3), Fraction(2, 3))
    assert abs(one) == Interval(Fraction(0), Fraction(2))
    assert abs(-other) == other
    assert largest(one, other) == other
    with pytest.raises(ZeroDivisionError):
        other / one


def test_rounding_only_widens():
    third = enclosed(Fraction(1, 3))
    assert rounded(third).lower < Fraction(1, 3) < rounded(third).upper
    assert holds(rounded(third), Fraction(1, 3), 0)
