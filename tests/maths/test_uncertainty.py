import itertools
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_genlaguerre, eval_hermite

from breeder.maths import RefusedError
from breeder.maths.files import load
from breeder.maths.intervals import enclosed
from breeder.maths.uncertainty import Uncertainty, laguerre, last_sign_change, solution
from conformance.problems import ProblemConformance, needs_published

PROBLEM = Uncertainty()
TWO_PI = (Fraction(6283185307179586476925286, 10**24), Fraction(6283185307179586476925287, 10**24))


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


def eliminated(rows):
    """Solve rows (a, b) of equations a x = b exactly, by elimination to the identity."""
    rows = [[Fraction(entry) for entry in row] for row in rows]
    for k in range(len(rows)):
        pivot = next(i for i in range(k, len(rows)) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for i in range(len(rows)):
            if i != k:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def remainder(one, other):
    """The remainder of polynomials, the constant coefficient first."""
    one = list(one)
    while len(one) >= len(other):
        share = one[-1] / other[-1]
        for i, entry in enumerate(other):
            one[len(one) - len(other) + i] -= share * entry
        one.pop()
    while one and not one[-1]:
        one.pop()
    return one


def at(polynomial, z):
    return sum(entry * z**i for i, entry in enumerate(polynomial))


def roots_beyond(polynomial, z):
    """How many distinct real roots lie beyond z, by Sturm's theorem."""
    chain = [polynomial, [i * entry for i, entry in enumerate(polynomial)][1:]]
    while rest := remainder(chain[-2], chain[-1]):
        chain.append([-entry for entry in rest])
    signs = [[at(one, z) for one in chain], [one[-1] for one in chain]]
    changes = [
        sum(a * b < 0 for a, b in itertools.pairwise(entry for entry in row if entry))
        for row in signs
    ]
    return changes[0] - changes[1]


def scaled_laguerre(degree):
    """degree! L_degree of index -1/2, by the recurrence rather than the closed form."""
    before, now = [Fraction(0)], [Fraction(1)]
    for k in range(degree):
        after = [Fraction(0)] * (len(now) + 1)
        for i, entry in enumerate(now):
            after[i] += (2 * k + Fraction(1, 2)) * entry
            after[i + 1] -= entry
        for i, entry in enumerate(before):
            after[i] -= k * (k - Fraction(1, 2)) * entry
        before, now = now, after
    return now


@given(st.lists(st.integers(8, 400), min_size=1, max_size=3, unique=True))
@settings(max_examples=15, deadline=None)
def test_the_value_agrees_with_exact_elimination_and_sturm_chains(tenths):
    """A second implementation: exact weights, exact division, Sturm chains; no intervals."""
    roots = [Fraction(entry, 10) for entry in sorted(tenths)]
    basis = [scaled_laguerre(2 * k) for k in range(2 * len(roots) + 2)]
    slopes = [[i * entry for i, entry in enumerate(one)][1:] or [Fraction(0)] for one in basis]
    rows = [[one[0] for one in basis]]
    for root in roots:
        rows += [[at(one, root) for one in basis], [at(one, root) for one in slopes]]
    weights = eliminated([[*row[:-1], -row[-1]] for row in rows])
    total = [Fraction(0)] * len(basis[-1])
    for weight, one in zip([*weights, Fraction(1)], basis, strict=True):
        for i, entry in enumerate(one):
            total[i] += weight * entry
    assert total[0] == 0
    rest = total[1:]
    for root in [*roots, *roots]:
        quotient = [rest[-1]]
        for inner in rest[-2::-1]:
            quotient.append(inner + root * quotient[-1])
        assert quotient.pop() == 0  # the double root is one
        rest = quotient[::-1]
    quotients = [f"{root.numerator}/{root.denominator}" for root in roots]
    value = PROBLEM.verify(quotients).value
    low, high = value.lower * TWO_PI[0], value.upper * TWO_PI[1]
    assert roots_beyond(rest, high) == 0
    if value.lower > 0:
        assert at(rest, low) * at(rest, high) < 0
        assert high - low < Fraction(1, 10**20)
