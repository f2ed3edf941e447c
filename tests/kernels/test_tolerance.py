"""Tolerances: what honest rounding needs passes, lower precision and wrong specials do not."""

import math

import numpy as np
import pytest

from breeder.kernels import EXACT, Expected, Tolerance, disagreement, elementwise, rounding


def expected(value, dtype=np.float32, terms=1, scale=None):
    return Expected("y", np.asarray(value), rounding(dtype, terms=terms), scale)


def test_a_result_rounded_to_its_type_agrees():
    value = np.random.default_rng(1).standard_normal((5, 7)) * 1e3
    for dtype in (np.float16, np.float32, np.float64):
        assert disagreement(value.astype(dtype), expected(value, dtype)) == ""


@pytest.mark.parametrize("bits", [13, 16])
def test_half_precision_in_float32_is_refused(bits):
    value = np.random.default_rng(2).standard_normal(64)
    rough = (value.astype(np.float32).view(np.uint32) >> bits << bits).view(np.float32)
    assert "off by" in disagreement(rough, expected(value, terms=1000))


def test_sums_in_any_order_agree_within_their_scale():
    terms = np.random.default_rng(3).standard_normal((20, 4096)).astype(np.float32)
    exact = terms.astype(np.float64).sum(axis=1)
    scale = np.abs(terms).sum(axis=1, dtype=np.float64)
    one = Expected("y", exact, Tolerance(rounding(np.float32, terms=4096).relative, 0, None), scale)
    sequential = np.cumsum(terms, axis=1, dtype=np.float32)[:, -1]
    backwards = np.cumsum(terms[:, ::-1], axis=1, dtype=np.float32)[:, -1]
    for result in (sequential, backwards, terms.sum(axis=1)):
        assert disagreement(result, one) == ""
    assert disagreement(sequential + np.float32(1.0), one)


def test_the_worst_element_is_named_with_its_bound():
    value = np.ones((2, 3))
    got = value.astype(np.float32)
    got[1, 2] = 1.5
    got[0, 0] = 1.01
    text = disagreement(got.ravel(), expected(value))
    assert text.startswith("y[1, 2] is 1.5 instead of 1: off by 0.5, ")
    assert "(2 of 6 elements are off)" in text


def test_small_errors_everywhere_break_the_norm():
    value = np.ones(10_000)
    tolerance = Tolerance(relative=1e-5, absolute=0.0, norm=1e-6)
    got = (value + 5e-6).astype(np.float32)
    assert "L2 norm" in disagreement(got, Expected("y", value, tolerance))
    got = value.astype(np.float32)
    got[17] += np.float32(5e-6)
    assert disagreement(got, Expected("y", value, tolerance)) == ""


@pytest.mark.parametrize(
    ("got", "reference"),
    [
        (0.0, math.nan),
        (math.nan, 0.0),
        (math.inf, 1.0),
        (1e30, math.inf),
        (-math.inf, math.inf),
        (math.nan, math.inf),
        (math.inf, math.nan),
    ],
)
def test_nan_and_infinities_must_be_those_of_the_reference(got, reference):
    values = np.array([1.0, reference])
    text = disagreement(np.array([1.0, got], np.float32), expected(values))
    assert text.startswith("y[1] is ")


def test_equal_specials_agree_beside_finite_numbers():
    value = np.array([math.nan, math.inf, -math.inf, 2.0])
    assert disagreement(value.astype(np.float32), expected(value)) == ""


def test_an_infinite_scale_does_not_excuse_a_finite_element():
    value = np.array([1.0, math.inf])
    text = disagreement(np.array([2.0, math.inf], np.float32), expected(value, scale=value))
    assert text.startswith("y[0] is 2")


def test_integers_must_be_exact():
    assert rounding(np.int32, terms=1000) == EXACT
    value = np.arange(6)
    assert disagreement(value.astype(np.int32), expected(value, np.int32)) == ""
    assert disagreement(value + (value == 4), expected(value, np.int32)) == (
        "y[4] is 5 instead of 4 (1 of 6 elements are wrong)"
    )


def test_sizes_must_agree_and_nothing_agrees_with_nothing():
    assert disagreement(np.zeros(3, np.float32), expected(np.zeros(2))) == (
        "y has 3 elements instead of 2"
    )
    assert disagreement(np.zeros(0, np.float32), expected(np.zeros((0, 4)))) == ""


def test_longer_sums_are_allowed_more_like_the_square_root():
    short, long = rounding(np.float32, terms=100), rounding(np.float32, terms=10_000)
    assert short.relative < long.relative < 10 * short.relative
    assert rounding(np.float64).relative < 1e-8 * rounding(np.float32).relative


def test_elementwise_bounds_no_norm():
    one, whole = elementwise(np.float32, terms=9), rounding(np.float32, terms=9)
    assert (one.relative, one.absolute, one.norm) == (whole.relative, whole.absolute, None)
    assert elementwise(np.int8) == EXACT
