import itertools
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths import RefusedError
from breeder.maths.heilbronn import HeilbronnConvex, HeilbronnTriangle
from conformance.problems import ProblemConformance

INSIDE = [[0.25, 0], [0.75, 0], [0.5, 0.75], [0.5, 0.25]]


class TestTriangle(ProblemConformance):
    problem = HeilbronnTriangle(4)
    broken: ClassVar = {
        "below": [[0.25, -(2.0**-1000 * 2.0**800)], *INSIDE[1:]],
        "left of the left side": [[2.0**-53, 2.0**-52], *INSIDE[1:]],
        "right of the right side": [[1.0, 2.0**-60], *INSIDE[1:]],
        "above the top": [*INSIDE[:2], [0.5, 0.8660254037844387], INSIDE[3]],
        "on a line": [[0.25, 0], [0.75, 0], [0.5, 0], [0.5, 0.25]],
        "a point twice": [INSIDE[0], INSIDE[0], *INSIDE[2:]],
        "a point short": INSIDE[:3],
        "a point more": [*INSIDE, [0.5, 0.5]],
        "three columns": [[*row, 0] for row in INSIDE],
    }
    mended: ClassVar = {
        "below": [[0.25, -(2.0**-60)], *INSIDE[1:]],
        "above the top": [*INSIDE[:2], [0.5, 0.8660254037844387], INSIDE[3]],
        "right of the right side": [[1.0, 2.0**-60], *INSIDE[1:]],
    }


class TestTriangleOf11(ProblemConformance):
    problem = HeilbronnTriangle(11)
    published: ClassVar = {
        "heiltri11_alphaevolve.json": ("0.03652988988003", True),
        "heiltriangles11_loongflow.json": ("0.03652988987933", False),
    }


class TestConvex(ProblemConformance):
    problem = HeilbronnConvex(4)
    broken: ClassVar = {
        "on a line": [[0, 0], [1, 1], [2, 2], [0, 1]],
        "a point twice": [[0, 0], [0, 0], [1, 0], [0, 1]],
        "a point short": [[0, 0], [1, 0], [0, 1]],
    }


class TestConvexOf13(ProblemConformance):
    problem = HeilbronnConvex(13)
    published: ClassVar = {
        "heilconv13_alphaevolve.json": ("0.03093688903489", False),
        # Published at the record's level.
        "heilconvex_regions13_loongflow.json": ("0.0307822939784", False),
    }


class TestConvexOf14(ProblemConformance):
    problem = HeilbronnConvex(14)
    published: ClassVar = {
        "heilconv14_alphaevolve.json": ("0.02783557145848", False),
        "heilconv14_jsagent.json": ("0.02783558045993", False),
    }


def area(a, b, c):
    """By Cavalieri's formula of the determinant, in fractions."""
    return abs(a[0] * (b[1] - c[1]) + b[0] * (c[1] - a[1]) + c[0] * (a[1] - b[1])) / 2


@pytest.mark.parametrize("n", [3, 5, 8])
def test_the_convex_value_agrees_with_another_hull(n):
    from scipy.spatial import ConvexHull

    rng = np.random.default_rng(n)
    points = rng.random((n, 2))
    exact = [tuple(map(Fraction, row)) for row in points]
    smallest = min(area(*three) for three in itertools.combinations(exact, 3))
    value = HeilbronnConvex(n).verify(points).value
    assert value.exact
    assert float(value) == pytest.approx(float(smallest) / ConvexHull(points).volume, rel=1e-12)


def test_the_corners_of_the_triangle_span_all_of_it():
    problem = HeilbronnTriangle(3)
    below = np.nextafter(np.sqrt(3) / 2, 0)
    value = problem.verify([[0, 0], [1, 0], [0.5, below]]).value
    assert 1 - Fraction(1, 10**15) < value.lower < value.upper < 1
    assert value.upper - value.lower < Fraction(1, 10**50)


def test_a_repair_is_for_rounding_only():
    with pytest.raises(RefusedError, match="further outside"):
        HeilbronnTriangle(4).verify([[0.25, -0.01], *INSIDE[1:]], repair=True)


@pytest.mark.parametrize("problem", [HeilbronnTriangle, HeilbronnConvex])
def test_a_number_of_points_that_makes_no_problem_is_an_error(problem):
    with pytest.raises(UserError, match="must be 3 to"):
        problem(2)
