import math
import os
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import eval_genlaguerre, eval_hermite

from breeder.maths import RefusedError
from breeder.maths.files import load
from breeder.maths.intervals import enclosed
from breeder.maths.uncertainty import Uncertainty, laguerre, last_sign_change, solution
from conformance.problems import ProblemConformance, needs_published

PROBLEM = Uncertainty()


class TestUncertainty(ProblemConformance):
    problem = PROBLEM
    broken: ClassVar = {
        "a root 0": [0, 4],
        "a negative root": [-3, 4],
        "a root twice": [4, 4],
        "a root far out": [4, 10**5],
        "more roots than are tried": [*range(1, 30)],
        "coefficients that are all 0": {"hermite": [0, 0]},
        "more coefficients than are tried": {"hermite": [1] * 13},
        "neither": {"roots": [4]},
    }
    published: ClassVar = {
        "uncert_hermite_goncalves.json": ("0.3522955625", False),
        "uncert_hermite_alphaevolve.json": ("0.352099105", False),
        "uncert_hermite_loongflow.json": ("0.3520991045", False),
    }


@needs_published
@pytest.mark.parametrize(
    ("name", "value"),
    [("uncert_alphaevolve_6", "0.328270618"), ("uncert_alphaevolve_12", "0.321587234")],
)
def test_published_double_roots_come_out_at_their_values(name, value):
    """They are published as decimals in strings, which are read as fractions here."""
    data = load(Path(os.environ["BREEDER_MATHS"]) / f"{name}.json")
    roots = [Fraction(text) for text in data["double_roots"]]
    found = PROBLEM.verify([f"{root.numerator}/{root.denominator}" for root in roots]).value
    assert found.decimal(9) == value
    assert found.upper - found.lower < Fraction(1, 10**25)


@pytest.mark.parametrize("degree", [0, 1, 2, 6, 11])
def test_laguerre_polynomials_agree_with_floats(degree):
    for z in (0.0, 0.7, 3.0):
        exact = sum(entry * Fraction(z) ** i for i, entry in enumerate(laguerre(degree)))
        assert float(exact) == pytest.approx(eval_genlaguerre(degree, -0.5, z), rel=1e-9, abs=1e-9)


def test_hermite_coefficients_agree_with_a_root_finder():
    given = [0.33, -0.0116, -9e-5]
    last = -sum(c * eval_hermite(4 * k, 0.0) for k, c in enumerate(given)) / eval_hermite(12, 0.0)
    series = np.zeros(13)
    series[[0, 4, 8, 12]] = [*given, last]
    roots = np.polynomial.hermite.hermroots(series)
    largest = max(root.real for root in roots if abs(root.imag) < 1e-6)
    value = PROBLEM.verify({"hermite": given}).value
    assert float(value) == pytest.approx(largest**2 / (2 * math.pi), rel=1e-6)


def test_a_function_has_its_double_roots_and_is_0_at_0():
    """With one double root the function follows from three equations, solved here in floats."""
    root = 4.0
    step = 1e-6
    rows = [
        [eval_genlaguerre(2 * k, -0.5, 0.0) for k in range(4)],
        [eval_genlaguerre(2 * k, -0.5, root) for k in range(4)],
        [
            (
                eval_genlaguerre(2 * k, -0.5, root + step)
                - eval_genlaguerre(2 * k, -0.5, root - step)
            )
            / (2 * step)
            for k in range(4)
        ],
    ]
    weights = np.linalg.solve(np.array(rows)[:, :3], -np.array(rows)[:, 3])
    points = np.linspace(0.01, 40, 40000)
    values = sum(
        weight * eval_genlaguerre(2 * k, -0.5, points) for k, weight in enumerate([*weights, 1.0])
    )
    far = np.abs(points - root) > 0.1  # rounding makes signs of the double root
    negative = points[far & (values * np.sign(values[-1]) < 0)].max()
    value = PROBLEM.verify([4]).value
    assert float(value) * 2 * math.pi == pytest.approx(negative, abs=2e-3)


def test_the_last_sign_change_ignores_double_roots_beyond_it():
    # (z - 2)(z - 5)^2 touches 0 at 5, which no proof of positivity passes.
    touching = [Fraction(a) for a in (-50, 45, -12, 1)]
    low, high = last_sign_change([enclosed(entry) for entry in touching])
    assert high >= 5
    assert low == 0
    # (z - 2)(z^2 - 10 z + 26) does not.
    passing = [Fraction(a) for a in (-52, 46, -12, 1)]
    low, high = last_sign_change([enclosed(entry) for entry in passing])
    assert low <= 2 <= high
    assert 0 < high - low < Fraction(1, 10**25)


def test_a_leading_coefficient_that_may_be_0_is_refused():
    with pytest.raises(RefusedError, match="leading coefficient"):
        last_sign_change([enclosed(-1), enclosed(0)])


def test_a_system_without_one_solution_is_refused():
    with pytest.raises(RefusedError, match="not proved"):
        solution([[Fraction(1), Fraction(2), Fraction(1)], [Fraction(2), Fraction(4), Fraction(3)]])
    exact = solution(
        [[Fraction(0), Fraction(3), Fraction(1)], [Fraction(2), Fraction(4), Fraction(0)]]
    )
    for entry, true in zip(exact, (Fraction(2, 3), Fraction(-1, 3)), strict=True):
        assert entry.lower <= true <= entry.upper
