"""What a profile says: time per step, and what an operator must move and compute."""

import pytest

from breeder.acceleration.profile import Rates, rows_of


def entry(op, shapes, seconds, **more):
    return {"op": op, "shapes": shapes, "calls": 4, "seconds": seconds, "flops": 0.0, **more}


def test_rows_are_per_step_and_the_longest_comes_first():
    rows = rows_of([entry("aten::add", [[2, 3], []], 0.2), entry("aten::mm", [[2, 3]], 0.6)], 2)
    assert [(one.op, one.seconds, one.calls) for one in rows] == [
        ("aten::mm", 0.3, 2.0), ("aten::add", 0.1, 2.0),
    ]  # fmt: skip
    assert rows[1].shapes == ((2, 3),)


@pytest.mark.parametrize(
    ("op", "shapes", "elements"),
    [
        ("aten::add", [[8, 4], [8, 4]], 3 * 32),
        ("aten::mm", [[8, 4], [4, 5]], 32 + 20 + 40),
        ("aten::addmm", [[5], [8, 4], [4, 5]], 5 + 32 + 20 + 40),
        ("aten::bmm", [[2, 8, 4], [2, 4, 5]], 64 + 40 + 80),
        ("aten::view", [[8, 4]], 0),
        ("aten::empty", [], 0),
    ],
)
def test_the_least_that_must_be_moved(op, shapes, elements):
    (row,) = rows_of([entry(op, shapes, 1.0)], 1)
    assert row.bytes == 4 * 4 * elements


def test_the_floor_is_the_slower_of_moving_and_computing():
    (row,) = rows_of([entry("aten::mm", [[8, 4], [4, 5]], 1.0, flops=1280.0)], 1)
    assert row.floor(Rates(bytes=1.0, flops=1e9)) == row.bytes
    assert row.floor(Rates(bytes=1e9, flops=1.0)) == 1280.0
