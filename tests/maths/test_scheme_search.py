"""Programs in C for bilinear algorithms are called with flat arrays and answer factors."""

import numpy as np
import pytest

from breeder.evaluation.candidate import InvalidAnswerError
from breeder.maths.scheme_search import SchemeSearch

# A row by a column of one entry each: u, v and w have one row.
PRODUCT = {"scale": 2, "u": [[[4, 0]]], "v": [[[1, 0]]], "w": [[[2, 0]]]}


class Recorded:
    """Answers so many products, and remembers what it was called with."""

    def __init__(self, count):
        self.count = count

    def call(self, function, *arguments, cpu_seconds):
        self.asked = function, *arguments, cpu_seconds
        return [self.count, np.arange(arguments[8]), np.array([3])]


def test_products_are_flattened_and_read_back():
    candidate = Recorded(2)
    program = SchemeSearch(candidate, most=4)
    found = program.call("search", 1, 1, 1, PRODUCT, 5, 0.5, cpu_seconds=2.0)
    assert found == {"scale": 3, "u": [[0, 3]], "v": [[1, 4]], "w": [[2, 5]]}
    function, n, m, p, known, count, scale, seed, seconds, *rooms, limit = candidate.asked
    assert (function, n, m, p, count, scale, seed) == ("search", 1, 1, 1, 1, 2, 5)
    assert (seconds, rooms, limit) == (0.5, [12, 1], 2.0)
    assert known.tolist() == [4, 1, 2]


@pytest.mark.parametrize("best", [None, {**PRODUCT, "w": [[[2, 1]]]}])
def test_what_is_not_known_or_not_real_is_not_shown(best):
    candidate = Recorded(1)
    SchemeSearch(candidate).call("search", 1, 1, 1, best, 5, 0.5)
    assert candidate.asked[4].shape == (0,)
    assert candidate.asked[5:7] == (0, 1)


@pytest.mark.parametrize("count", [0, 5])
def test_numbers_of_products_that_cannot_be_are_refused(count):
    with pytest.raises(InvalidAnswerError, match=f"{count} products; 1 to 4"):
        SchemeSearch(Recorded(count), most=4).call("search", 1, 1, 1, None, 1, 0.5)
