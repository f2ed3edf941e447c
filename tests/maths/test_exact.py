import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeder.maths import RefusedError
from breeder.maths.exact import (
    ROOT_BITS,
    common_integers,
    convolution,
    decimal,
    float_above,
    float_below,
    root_below,
    total,
)

SEQUENCES = st.lists(st.integers(-(10**40), 10**40), min_size=1, max_size=12)
FRACTIONS = st.fractions(max_denominator=10**9)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(SEQUENCES, SEQUENCES)
def test_a_convolution_agrees_with_the_definition(one, other):
    expected = [0] * (len(one) + len(other) - 1)
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            expected[i + j] += left * right
    assert convolution(one, other) == expected


def test_a_convolution_that_would_take_too_long_is_refused():
    with pytest.raises(RefusedError, match="too many to verify"):
        convolution([1 << 4000] * 20_000, [1 << 4000] * 20_000)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(FRACTIONS, min_size=1))
def test_common_integers_and_sums_are_exact(values):
    integers, denominator = common_integers(values)
    assert [Fraction(i, denominator) for i in integers] == values
    assert total(values) == sum(values)


def test_the_sum_of_nothing_is_zero():
    assert total([]) == 0


@settings(derandomize=True, deadline=None, max_examples=50)
@given(FRACTIONS)
def test_floats_enclose_a_fraction(value):
    below, above = float_below(value), float_above(value)
    assert Fraction(below) <= value <= Fraction(above)
    assert above in (below, math.nextafter(below, math.inf))


def test_fractions_beyond_all_floats_are_enclosed():
    assert float_below(Fraction(10) ** 400) == 1.7976931348623157e308
    assert float_above(Fraction(10) ** 400) == math.inf
    assert float_below(-(Fraction(10) ** 400)) == -math.inf


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.fractions(min_value=0, max_denominator=10**9))
def test_a_root_is_below_and_near(square):
    root = root_below(square)
    assert root * root <= square < (root + Fraction(1, 1 << ROOT_BITS)) ** 2


@pytest.mark.parametrize(
    ("value", "digits", "up", "text"),
    [
        (Fraction(1, 3), 4, False, "0.3333"),
        (Fraction(1, 3), 4, True, "0.3334"),
        (Fraction(-1, 3), 2, False, "-0.34"),
        (Fraction(-1, 3), 2, True, "-0.33"),
        (Fraction(-1, 1000), 2, True, "0.00"),
        (Fraction(5, 2), 1, True, "2.5"),
        (Fraction(5, 2), 0, True, "3"),
        (Fraction(604), 6, True, "604"),
    ],
)
def test_decimals_are_rounded_as_asked(value, digits, up, text):
    assert decimal(value, digits, up=up) == text
