import itertools
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths import RefusedError
from breeder.maths.ring_loading import RingLoading
from conformance.problems import ProblemConformance


class TestRingLoading(ProblemConformance):
    problem = RingLoading(3)
    broken: ClassVar = {
        "sum above 1 by the last bit": [[0.5, 0.5 + 2.0**-53], [0.5, 0.5], [0.5, 0.5]],
        "negative": [[-1e-12, 1], [0.5, 0.5], [0.5, 0.5]],
        "a pair short": [[0.5, 0.5], [0.5, 0.5]],
        "a pair more": [[0.5, 0.5]] * 4,
        "triples": [[0.5, 0.5, 0]] * 3,
    }
    mended: ClassVar = {
        "sum above 1 by the last bit": [[0.5, 0.5 + 2.0**-53], [0.5, 0.5], [0.5, 0.5]],
        "negative": [[-1e-12, 1], [0.5, 0.5], [0.5, 0.5]],
    }


class TestFifteen(ProblemConformance):
    problem = RingLoading(15)
    published: ClassVar = {"ringloading_alphaevolve.json": ("1.119047568", False)}


def by_definition(pairs):
    """Every choice of z, every split, with fractions."""
    return min(
        max(
            abs(sum(z[:k], Fraction(0)) - sum(z[k:], Fraction(0))) for k in range(1, len(pairs) + 1)
        )
        for z in itertools.product(*((v, -u) for u, v in pairs))
    )


@pytest.mark.parametrize("m", [1, 2, 5, 7])
def test_the_value_agrees_with_the_definition(m):
    rng = np.random.default_rng(m)
    problem = RingLoading(m)
    pairs = problem.read(rng.random((m, 2)) / 2)
    assert problem.value(pairs).lower == by_definition(pairs)


def test_a_repair_is_for_rounding_only():
    with pytest.raises(RefusedError, match="further off"):
        RingLoading(1).verify([[0.6, 0.5]], repair=True)


def test_a_number_of_pairs_that_cannot_be_tried_is_an_error():
    with pytest.raises(UserError, match="number of pairs"):
        RingLoading(40)
