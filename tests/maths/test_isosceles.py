import itertools
from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths import RefusedError
from breeder.maths.isosceles import NoIsosceles
from conformance.problems import ProblemConformance


class TestNoIsosceles(ProblemConformance):
    problem = NoIsosceles(8)
    broken: ClassVar = {
        "flat triangle": [[0, 0], [1, 1], [2, 2]],
        "right triangle": [[0, 0], [3, 0], [0, 3]],
        "one point twice": [[0, 0], [1, 2], [0, 0]],
        "outside by one": [[0, 0], [8, 1]],
        "negative": [[0, -1], [3, 1]],
        "half": [[0.5, 0], [3, 1]],
        "nudged": [[1e-12, 0], [3, 1]],
    }


class TestSide64(ProblemConformance):
    problem = NoIsosceles(64)
    published: ClassVar = {"noiso64_alphaevolve.json": ("112", False)}


class TestSide100(ProblemConformance):
    problem = NoIsosceles(100)
    published: ClassVar = {"noiso100_alphaevolve.json": ("164", False)}


def isosceles(points):
    """Whether any three points form an isosceles triangle, triple by triple."""
    for triple in itertools.combinations(points, 3):
        sides = {
            (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 for a, b in itertools.combinations(triple, 2)
        }
        if len(sides) < 3:
            return True
    return False


def test_a_verdict_agrees_with_the_definition():
    rng, verdicts = np.random.default_rng(2), set()
    grid = list(itertools.product(range(8), repeat=2))
    for _ in range(60):
        points = [grid[i] for i in rng.choice(len(grid), size=5, replace=False)]
        try:
            NoIsosceles(8).verify([list(point) for point in points])
            accepted = True
        except RefusedError:
            accepted = False
        assert accepted != isosceles(points)
        verdicts.add(accepted)
    assert verdicts == {True, False}


def test_the_bound_counts_distances():
    # In the 3 x 3 grid: 0, 1, 2, 4, 5, 8.
    assert NoIsosceles(3).bound.number == 6


def test_a_side_that_makes_no_problem_is_an_error():
    with pytest.raises(UserError, match="side of the grid"):
        NoIsosceles(0)
