from typing import ClassVar

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from breeder.errors import UserError
from breeder.maths.distance_ratio import MaxMinRatio
from conformance.problems import ProblemConformance


class TestPlane(ProblemConformance):
    problem = MaxMinRatio(2, 4)
    broken: ClassVar = {
        "a point twice": [[0, 0], [1, 0], [0, 1], [0, 0]],
        "a point short": [[0, 0], [1, 0], [0, 1]],
        "a point more": [[0, 0], [1, 0], [0, 1], [1, 1], [2, 2]],
        "three columns": [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]],
    }


class TestSixteen(ProblemConformance):
    problem = MaxMinRatio(2, 16)
    published: ClassVar = {
        "maxmin2d16_alphaevolve.json": ("12.889266113", False),
        "maxmin2d16_jsagent.json": ("12.889229907695", False),
        "maxmin2d16_together.json": ("12.889229907718", False),
        "maxmin2d16_loongflow.json": ("12.889243642357", False),
        "maxmin2d16_codeevolve.npy": ("12.889237914648", False),
    }


class TestFourteenInSpace(ProblemConformance):
    problem = MaxMinRatio(3, 14)
    published: ClassVar = {
        "maxmin3d14_alphaevolve.json": ("4.165849768", False),
        "maxmin3d14_codeevolve.npy": ("4.16578844", False),
    }


@pytest.mark.parametrize(("d", "n"), [(1, 5), (2, 9), (3, 14), (7, 20)])
def test_the_value_agrees_with_floats(d, n):
    points = np.random.default_rng(d).normal(size=(n, d))
    distances = pdist(points)
    expected = (distances.max() / distances.min()) ** 2
    assert float(MaxMinRatio(d, n).verify(points).value) == pytest.approx(expected, rel=1e-12)


def test_the_bound_holds_where_the_optimum_is_known():
    for d, n, best in ((2, 2, 1), (2, 3, 1), (2, 4, 2), (1, 5, 16), (3, 4, 1), (2, 7, 4)):
        assert 1 <= MaxMinRatio(d, n).bound.number <= best
    assert MaxMinRatio(1, 5).bound.number == 16


def test_parameters_that_make_no_problem_are_errors():
    with pytest.raises(UserError, match="dimension"):
        MaxMinRatio(0, 5)
    with pytest.raises(UserError, match="number of points"):
        MaxMinRatio(2, 1)
