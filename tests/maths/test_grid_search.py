"""Programs in C for sets of grid points are called with flat arrays and answer rows."""

import numpy as np
import pytest

from breeder.evaluation.candidate import InvalidAnswerError
from breeder.maths.grid_search import GridSearch


class Recorded:
    """Answers so many points, and remembers what it was called with."""

    def __init__(self, count):
        self.count = count

    def call(self, function, *arguments, cpu_seconds):
        self.asked = function, *arguments, cpu_seconds
        return [self.count, np.arange(8)]


def test_points_are_flattened_and_read_back():
    candidate = Recorded(2)
    rows = GridSearch(candidate, most=4).call(
        "search", 9, [[1, 2], [3, 4]], 5, 0.5, cpu_seconds=2.0
    )
    assert rows == [[0, 1], [2, 3]]
    function, side, known, count, seed, seconds, room, limit = candidate.asked
    assert (function, side, count, seed, seconds, room, limit) == ("search", 9, 2, 5, 0.5, 8, 2.0)
    assert known.dtype == np.int64
    assert known.tolist() == [1, 2, 3, 4]


def test_nothing_known_is_an_empty_array():
    candidate = Recorded(0)
    assert GridSearch(candidate).call("search", 9, None, 1, 0.5) == []
    assert candidate.asked[2].shape == (0,)
    assert candidate.asked[3] == 0


@pytest.mark.parametrize("count", [-1, 5])
def test_more_points_than_there_is_room_for_are_refused(count):
    with pytest.raises(InvalidAnswerError, match=f"{count} points; there is room for 4"):
        GridSearch(Recorded(count), most=4).call("search", 9, None, 1, 0.5)
