from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest

from breeder.maths import RefusedError
from breeder.maths.autocorrelation import (
    AbsoluteThirdAutocorrelation,
    FirstAutocorrelation,
    SecondAutocorrelation,
    ThirdAutocorrelation,
)
from conformance.problems import ProblemConformance

NEGATIVE = {
    "negative height": [1, 1, -1e-12, 1],
    "negative zero is not negative, its neighbour is": [-0.0, -1e-70, 1, 1],
    "all zero": [0, 0, 0],
}
CANCELLING = {"integral 0": [1, -1, 2, -2], "all zero": [0.0, 0.0]}


class TestFirst(ProblemConformance):
    problem = FirstAutocorrelation()
    broken: ClassVar = NEGATIVE
    published: ClassVar = {
        "ac1_human.json": ("1.5097202", False),
        "ac1_alphaevolve_v1.json": ("1.505293969", False),
        "ac1_alphaevolve_v2.json": ("1.503163555", False),
        "ac1_theta_best.json": ("1.503132436", False),
    }


class TestSecond(ProblemConformance):
    problem = SecondAutocorrelation()
    broken: ClassVar = NEGATIVE
    published: ClassVar = {
        "ac2_alphaevolve_v1.json": ("0.896279944", False),
        "ac2_theta_w.json": ("0.946897013157", False),
        "ac2_codeevolve.npy": ("0.937686446921", False),
    }


class TestThird(ProblemConformance):
    problem = ThirdAutocorrelation()
    broken: ClassVar = CANCELLING
    published: ClassVar = {
        "ac3_alphaevolve.json": ("1.455642796", False),
        "ac3_together.json": ("1.454554863", False),
        "ac3_theta_w.json": ("1.493001202195", False),
    }


class TestAbsoluteThird(ProblemConformance):
    problem = AbsoluteThirdAutocorrelation()
    broken: ClassVar = CANCELLING
    published: ClassVar = {
        "ac3abs_alphaevolve.json": ("1.468762070", False),
        "ac3_alphaevolve.json": ("4.335", False),
    }


def knots(heights):
    """f*f at the multiples of the step over [-1/2, 1/2], from the definition."""
    n = len(heights)
    step = Fraction(1, 2 * n)
    inner = [
        step * sum((heights[i] * heights[k - i] for i in range(n) if 0 <= k - i < n), Fraction(0))
        for k in range(2 * n - 1)
    ]
    return [Fraction(0), *inner, Fraction(0)], step


@pytest.mark.parametrize("seed", range(5))
def test_the_values_agree_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    heights = [Fraction(float(x)) for x in rng.random(3 + 4 * seed)]
    values, step = knots(heights)
    integral = sum(heights) * step
    assert FirstAutocorrelation().value(tuple(heights)).lower == max(values) / integral**2
    squares = sum(
        (step * (a * a + a * b + b * b) / 3 for a, b in pairwise(values)),
        Fraction(0),
    )
    second = squares / (integral**2 * max(values))
    assert SecondAutocorrelation().value(tuple(heights)).lower == second
    signed = [height * (-1) ** (i % 3) for i, height in enumerate(heights)]
    values, step = knots(signed)
    integral = sum(signed) * step
    assert ThirdAutocorrelation().value(tuple(signed)).lower == max(values) / integral**2
    absolute = max(map(abs, values)) / integral**2
    assert AbsoluteThirdAutocorrelation().value(tuple(signed)).lower == absolute


def test_the_scale_of_a_function_does_not_matter():
    heights = [0.25, 1.5, 0.75]
    large = [height * 2.0**80 for height in heights]
    for problem in (FirstAutocorrelation(), SecondAutocorrelation(), ThirdAutocorrelation()):
        assert problem.verify(heights).value == problem.verify(large).value


def test_a_nearly_cancelling_integral_gains_nothing():
    value = ThirdAutocorrelation().verify([1, -1 + 2.0**-50]).value
    assert value.lower > 10**20


def test_heights_that_are_too_long_to_multiply_are_refused():
    with pytest.raises(RefusedError, match="too many to verify"):
        FirstAutocorrelation().verify([2.0**250, 2.0**-250] * 30_000)
