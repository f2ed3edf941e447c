from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths.flat_polynomial import FlatPolynomial
from conformance.problems import ProblemConformance


class TestThree(ProblemConformance):
    problem = FlatPolynomial(3)
    broken: ClassVar = {
        "a coefficient 0": [1, 1, 0, -1],
        "a coefficient 2": [1, 2, 1, -1],
        "a coefficient of a half": [1, 0.5, 1, -1],
        "one short": [1, 1, -1],
        "one more": [1, 1, 1, -1, 1],
    }


class TestSixtyNine(ProblemConformance):
    problem = FlatPolynomial(69)
    # Sampling bounds them by 1.350469367 and 1.290049136.
    published: ClassVar = {
        "flat69_alphaevolve.json": ("1.350469353019", False),
        "flat69_jsagent.json": ("1.290049122043", False),
    }


@pytest.mark.parametrize("degree", [1, 2, 7, 30, 69, 120])
def test_the_maximum_agrees_with_samples(degree):
    signs = np.random.default_rng(degree).choice([-1, 1], size=degree + 1)
    count = 1 << 16
    sampled = np.abs(np.fft.fft(signs, count)).max() / np.sqrt(degree + 1)
    value = FlatPolynomial(degree).verify(signs).value
    assert float(value.lower) >= sampled - 1e-12
    assert float(value.upper) <= sampled / np.cos(np.pi * degree / count) + 1e-12  # Ehlich, Zeller


def test_equal_signs_are_as_bad_as_can_be():
    value = FlatPolynomial(8).verify([1] * 9).value
    assert value.lower <= 3 <= value.upper
    assert float(value) == pytest.approx(3, abs=1e-15)


def test_a_degree_that_makes_no_problem_is_an_error():
    with pytest.raises(UserError, match="must be 1 to"):
        FlatPolynomial(0)
