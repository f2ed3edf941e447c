from fractions import Fraction
from typing import ClassVar

import numpy as np

from breeder.maths.difference_basis import DifferenceBasis
from conformance.problems import ProblemConformance

PROBLEM = DifferenceBasis()


class TestDifferenceBasis(ProblemConformance):
    problem = PROBLEM
    broken: ClassVar = {
        "one number": [5],
        "no difference of 1": [0, 2, 5, 9],
        "a number twice": [0, 1, 1],
        "fractions": [0, 0.5, 1],
        "too far apart": [0, 1, 1 << 25],
    }
    published: ClassVar = {"diffbasis_alphaevolve.json": ("2.63902747", False)}


def by_definition(numbers):
    differences = {a - b for a in numbers for b in numbers}
    reached = 0
    while reached + 1 in differences:
        reached += 1
    return Fraction(len(numbers) ** 2, reached)


def test_the_value_agrees_with_the_definition():
    rng = np.random.default_rng(3)
    for _ in range(20):
        numbers = [0, 1, *(2 + rng.choice(200, size=15, replace=False)).tolist()]
        shifted = [number - 1000 for number in numbers]
        for data in (numbers, shifted, numbers[::-1]):
            assert PROBLEM.verify(data).value.lower == by_definition(data)


def test_rulers_that_are_known():
    assert PROBLEM.verify([0, 1]).value.lower == 4
    assert PROBLEM.verify([0, 1, 4, 6]).value.lower == Fraction(16, 6)
    assert PROBLEM.verify([0, 1, 2, 6, 9]).value.lower == Fraction(25, 9)
