from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeder.maths import RefusedError
from breeder.maths.reading import integer, listing, number, plain, row_entries, rows

FINITE = st.floats(min_value=-1e70, max_value=1e70).filter(lambda x: x == 0 or abs(x) > 1e-70)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(FINITE)
def test_a_float_is_the_binary_fraction_it_stands_for(value):
    assert number(value, "x") == Fraction(value)
    assert number(np.float64(value), "x") == Fraction(value)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.fractions(max_denominator=10**30))
def test_a_number_is_written_so_that_it_reads_back(value):
    written = plain(value)
    assert number(written, "x") == value
    assert plain(number(written, "x")) == written


@pytest.mark.parametrize(
    ("entry", "value"), [("-3/6", Fraction(-1, 2)), (np.int8(-7), Fraction(-7))]
)
def test_exact_numbers_are_read(entry, value):
    assert number(entry, "x") == value


@pytest.mark.parametrize("entry", [2.0**257, -(2.0**257), 2**257, 2.0**-300, f"1/{2**300}"])
def test_what_is_absurdly_large_or_small_is_refused(entry):
    with pytest.raises(RefusedError, match="in size"):
        number(entry, "x")


def test_a_long_denominator_is_refused():
    with pytest.raises(RefusedError, match="denominator"):
        number(f"{2**513 + 1}/{2**513}", "x")


@pytest.mark.parametrize("entry", [0.5, "1/2"])
def test_an_integer_is_one(entry):
    with pytest.raises(RefusedError, match="no integer"):
        integer(entry, "x")
    assert integer(3.0, "x") == integer("6/2", "x") == 3


def test_a_refusal_says_where():
    with pytest.raises(RefusedError, match=r"circles\[1\]: nan is not finite"):
        rows([[1, 2], [1, float("nan")]], "circles", 2, 10)
    with pytest.raises(RefusedError, match=r"circles\[0\]: expected 2 entries, got 1"):
        rows([[1]], "circles", 2, 10)
    with pytest.raises(RefusedError, match=r"circles\[0\]: expected a list of 2, got float"):
        row_entries(1.0, "circles[0]", 2)
    with pytest.raises(RefusedError, match="there is no entry 'h'"):
        listing({"f": [1]}, "h", 10)
    with pytest.raises(RefusedError, match="h: more than 2 entries"):
        listing([1, 2, 3], "h", 2)
