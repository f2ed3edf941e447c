from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from breeder.maths import RefusedError
from breeder.maths.erdos import GRID, MinimumOverlap
from conformance.problems import ProblemConformance

PROBLEM = MinimumOverlap()
HALVES = [0.5] * 6


class TestMinimumOverlap(ProblemConformance):
    problem = PROBLEM
    broken: ClassVar = {
        "integral short by the last bit": [0.5, 0.5, 0.5, 0.5 - 2.0**-54],
        "integral above by the last bit": [0.5, 0.5, 0.5, 0.5 + 2.0**-53],
        "wrong normalisation": [1, 1, 1, 1],
        "negative height": [-1e-12, 0.5 + 1e-12, 0.5, 0.5],
        "height above 1": [1 + 2.0**-52, 1, 0, -(2.0**-52)],
        "integral short by a fraction": ["1/2", "1/2", "1/2", "499999999999/1000000000000"],
    }
    mended: ClassVar = {
        "integral short by the last bit": [0.5, 0.5, 0.5, 0.5 - 2.0**-54],
        "integral above": [0.5, 0.5, 0.5, 0.5 + 1e-9],
        "height above 1": [1 + 1e-9, 1, 0, 0],
        "thirds": [1 / 3, 2 / 3, 1 / 3, 2 / 3, 1 / 3, 2 / 3, 0.1 + 0.2, 0.7],
    }
    published: ClassVar = {
        "erdos_haugland2016.json": ("0.380926853434", True),
        "erdos_alphaevolve.json": ("0.380923035109", True),
        "erdos_ttt.json": ("0.380875323218", True),
        "erdos_together.json": ("0.380870310587", True),
        "erdos_jsagent.json": ("0.380870310479", True),
    }
    refused = ("erdos_loongflow.json",)


def overlap_by_definition(heights):
    """Every shift by a multiple of the step, summed cell by cell."""
    n = len(heights)
    best = Fraction(0)
    for shift in range(-n + 1, n):
        cells = (heights[i] * (1 - heights[i + shift]) for i in range(n) if 0 <= i + shift < n)
        best = max(best, Fraction(2, n) * sum(cells, Fraction(0)))
    return best


def test_the_value_agrees_with_the_definition():
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 7, 24):
        units = rng.integers(0, 1000, size=n).tolist()
        wanted, held = Fraction(n, 2), Fraction(sum(units), 1000)
        heights = [Fraction(u, 1000) * wanted / held if held else Fraction(1, 2) for u in units]
        if max(heights) > 1:
            heights = [Fraction(1, 2)] * n
        assert PROBLEM.value(tuple(heights)).lower == overlap_by_definition(heights)


def test_a_step_of_ones_overlaps_by_a_half():
    # h = 1 on [0, 1]: at the shift by 1 all of h meets all of 1 - h.
    assert PROBLEM.value(PROBLEM.read([1, 0])).lower == 1
    assert PROBLEM.value(PROBLEM.read([0, 1, 1, 0])).lower == Fraction(1, 2)


def test_a_repair_moves_all_heights_alike_and_none_by_more_than_needed():
    lacking = 1e-9
    repaired, moved = PROBLEM.repair(PROBLEM.read([0.5, 0.5, 0.5, 0.5 - lacking]))
    assert sum(repaired) == 2
    assert abs(moved - Fraction(lacking) / 4) <= Fraction(2, GRID)
    assert all(Fraction(float(height)) == height for height in repaired)


def test_a_repair_fills_what_has_room_when_a_height_is_full():
    repaired, moved = PROBLEM.repair(PROBLEM.read([1, 1, 0, -1e-9]))
    assert repaired == (1, 1, 0, 0)
    assert moved == Fraction(1e-9)


def test_a_repair_is_for_rounding_only():
    with pytest.raises(RefusedError, match="more than a repair is for"):
        PROBLEM.repair(PROBLEM.read([0.5, 0.5, 0.5, 0.4]))


def test_denominators_without_a_common_one_are_refused():
    primes = [10**150 + 2 * k + 1 for k in range(40)]
    with pytest.raises(RefusedError, match="no common denominator"):
        PROBLEM.verify([f"{prime // 2}/{prime}" for prime in primes])
