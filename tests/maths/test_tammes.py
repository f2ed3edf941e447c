from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from breeder.errors import UserError
from breeder.maths.tammes import Tammes
from conformance.problems import ProblemConformance

AXES = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]


class TestSix(ProblemConformance):
    problem = Tammes(6)
    broken: ClassVar = {
        "a vector 0": [*AXES[:5], [0, 0, 0]],
        "a vector twice": [*AXES[:5], AXES[0]],
        "a vector twice, longer": [*AXES[:5], [7, 0, 0]],
        "a vector twice, nearly 0": [*AXES[:5], [1e-70, 0, 0]],
        "one short": AXES[:5],
        "one more": [*AXES, [1, 1, 1]],
        "two columns": [row[:2] for row in AXES],
    }


class TestFifty(ProblemConformance):
    problem = Tammes(50)
    published: ClassVar = {
        "tammes50_alphaevolve.json": ("0.51347189", False),
        "tammes50_jsagent.json": ("0.51347208468", False),
    }


def test_the_octahedron_reaches_the_bound():
    found = Tammes(6).verify(AXES).value
    assert found.lower**2 <= 2 <= found.upper**2
    assert abs(Tammes(6).bound.number - found.upper) < Fraction(1, 10**11)


def test_vectors_near_0_are_worth_what_their_directions_are():
    """No length is small enough to make a point that lies inside the ball."""
    small = [[x * 1e-30, y * 1e-30, z * 1e-30] for x, y, z in AXES]
    assert Tammes(6).verify(small).value.decimal(9) == "1.414213562"


@pytest.mark.parametrize("n", [3, 7, 30])
def test_the_distance_agrees_with_floats(n):
    points = np.random.default_rng(n).normal(size=(n, 3))
    distances = pdist(points / np.linalg.norm(points, axis=1, keepdims=True))
    found = Tammes(n).verify(points).value
    assert float(found) == pytest.approx(distances.min(), rel=1e-9)
    assert found.upper - found.lower < Fraction(1, 10**50)


def test_a_number_of_points_that_makes_no_problem_is_an_error():
    with pytest.raises(UserError, match="must be 3 to"):
        Tammes(2)
