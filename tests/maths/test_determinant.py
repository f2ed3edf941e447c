from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths.determinant import MaximalDeterminant, determinant
from conformance.problems import ProblemConformance

PLAIN = MaximalDeterminant(4).example()


class TestFour(ProblemConformance):
    problem = MaximalDeterminant(4)
    broken: ClassVar = {
        "an entry 0": [[0, 1, 1, 1], *PLAIN[1:]],
        "an entry 3": [[3, 1, 1, 1], *PLAIN[1:]],
        "an entry of a half": [[0.5, 1, 1, 1], *PLAIN[1:]],
        "a row short": PLAIN[:3],
        "a row more": [*PLAIN, PLAIN[0]],
        "a column short": [row[:3] for row in PLAIN],
    }


def sylvester(order):
    matrix = np.ones((1, 1), dtype=int)
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@pytest.mark.parametrize("order", [1, 2, 4, 8, 32])
def test_a_hadamard_matrix_reaches_the_bound(order):
    problem = MaximalDeterminant(order)
    assert problem.verify(sylvester(order)).value.lower == problem.bound.number


def test_a_circulant_of_order_13_reaches_barbas_bound():
    first = [1 if i in {0, 1, 3, 9} else -1 for i in range(13)]
    matrix = [[-first[(j - i) % 13] for j in range(13)] for i in range(13)]
    problem = MaximalDeterminant(13)
    assert problem.verify(matrix).value.lower == problem.bound.number == 14929920


@pytest.mark.parametrize("order", [2, 3, 6, 10])
def test_the_determinant_agrees_with_floats(order):
    rng = np.random.default_rng(order)
    for _ in range(5):
        matrix = rng.integers(-1, 2, size=(order, order))  # zeros need other pivots
        exact = determinant(matrix.tolist())
        assert exact == pytest.approx(np.linalg.det(matrix), abs=1e-6)


def test_a_singular_matrix_is_worth_nothing():
    assert MaximalDeterminant(3).verify([[1, 1, 1]] * 3).value.lower == 0


def test_an_order_that_makes_no_problem_is_an_error():
    with pytest.raises(UserError, match="must be 1 to"):
        MaximalDeterminant(0)
