import math
from fractions import Fraction

import numpy as np
import pytest

from breeder.maths.bernstein import BITS, coefficients, maximum, negative


def powers(roots, lead=1):
    """A polynomial from its roots, the constant coefficient first."""
    found = [Fraction(lead)]
    for root in roots:
        found = [a - Fraction(root) * b for a, b in zip([0, *found], [*found, 0], strict=True)]
    return found


def test_coefficients_are_rounded_up_by_less_than_a_unit():
    found = coefficients([Fraction(1, 3), Fraction(-1, 7), Fraction(5)])
    exact = [Fraction(1, 3), Fraction(1, 3) - Fraction(1, 14), Fraction(1, 3) - Fraction(1, 7) + 5]
    for entry, true in zip(found, exact, strict=True):
        assert 0 <= entry - true * 2**BITS < 1


@pytest.mark.parametrize("at", [Fraction(0), Fraction(1, 3), Fraction(7, 10), Fraction(1)])
def test_the_maximum_of_a_parabola_is_enclosed(at):
    found = maximum([2 - at * at, 2 * at, Fraction(-1)])  # 2 - (u - at)^2
    assert found.lower <= 2 <= found.upper
    assert found.upper - found.lower < Fraction(1, 10**18)


@pytest.mark.parametrize("seed", range(5))
def test_the_maximum_agrees_with_many_samples(seed):
    given = np.random.default_rng(seed).normal(size=12)
    found = maximum([Fraction(entry) for entry in given])
    samples = np.polynomial.polynomial.polyval(np.linspace(0, 1, 20001), given)
    assert float(found.lower) >= samples.max() - 1e-12
    assert float(found.upper) == pytest.approx(samples.max(), abs=1e-5)


def test_a_constant_and_a_polynomial_with_many_equal_maxima():
    assert maximum([Fraction(3)]).upper == 3
    chebyshev = np.polynomial.chebyshev.Chebyshev.basis(16, domain=[0, 1])
    exact = [Fraction(round(a)) for a in chebyshev.convert(kind=np.polynomial.Polynomial).coef]
    found = maximum(exact)
    assert found.lower <= 1 <= found.upper
    assert found.upper - found.lower < Fraction(1, 10**18)


@pytest.mark.parametrize(
    ("polynomial", "below"),
    [
        ([Fraction(-1, 10**40)], True),
        ([Fraction(0)], False),
        (powers([Fraction(-1, 10**6), 2], 1), True),
        (powers([0, 2], 1), False),
        (powers([Fraction(1, 3), Fraction(1, 3)], -1), False),
        (powers([Fraction(1, 2), Fraction(51, 100)], 1), False),
        ([a - Fraction(1, 10**6) for a in powers([Fraction(1, 3)] * 2, -1)], True),
        ([a - Fraction(1, 10**6) for a in powers([Fraction(1, 3)] * 4, -1)], True),
    ],
)
def test_negative_is_proved_or_not(polynomial, below):
    polynomial = [Fraction(entry) for entry in polynomial]
    if len(polynomial) == 3 and polynomial[0] > 0:
        polynomial = [-entry for entry in polynomial]
    assert negative(coefficients(polynomial)) == below
    samples = np.linspace(0, 1, 1001)
    assert below <= bool((np.polyval([float(a) for a in polynomial[::-1]], samples) < 0).all())
    assert math.isfinite(float(polynomial[0]))
