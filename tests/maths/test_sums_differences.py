import itertools
import math
from fractions import Fraction
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeder.maths import RefusedError
from breeder.maths.sums_differences import MOST_SPREAD, SumsDifferences
from conformance.problems import ProblemConformance

PROBLEM = SumsDifferences()


class TestSumsDifferences(ProblemConformance):
    problem = PROBLEM
    broken: ClassVar = {
        "without 0": [1, 2, 4],
        "negative": [-1, 0, 2],
        "a number twice": [0, 1, 1],
        "0 alone": [0],
        "fractions": [0, 0.5, 1],
        "far too large": [0, 1 << 63],
        "large and long": [0, *(1 << 40 | i for i in range(MOST_SPREAD))],
        "a mask without 0": {"mask": [1, 2], "rate": 1},
        "a mask alone": {"mask": [0, 1]},
        "a negative rate": {"mask": [0, 1, 3], "rate": -1},
        "an enormous rate": {"mask": [0, 1, 3], "rate": 1000},
        "no digits": {"mask": [0, 1, 3], "digits": 0, "limit": 3},
        "a limit that leaves 0 alone": {"mask": [0, 2, 3], "digits": 3, "limit": 1},
        "a limit beyond the largest total": {"mask": [0, 2, 3], "digits": 3, "limit": 10},
        "too much to count": {"mask": [*range(64)], "digits": 64, "limit": 4000},
    }
    published: ClassVar = {"sumdiff_alphaevolve_2003.json": ("1.147988896", False)}


def exponent(numbers):
    sums = {a + b for a in numbers for b in numbers}
    differences = {a - b for a in numbers for b in numbers}
    return 1 + math.log(len(differences) / len(sums)) / math.log(2 * max(numbers) + 1)


def listed(mask, digits, limit):
    base = 2 * mask[-1] + 1
    return [
        sum(digit * base**i for i, digit in enumerate(word))
        for word in itertools.product(mask, repeat=digits)
        if sum(word) <= limit
    ]


@pytest.mark.parametrize(
    ("mask", "digits", "limit"),
    [
        ([0, 1], 6, 3),
        ([0, 1, 3], 3, 4),
        ([0, 2, 3, 7], 3, 9),
        ([0, 1, 4, 6], 2, 7),
        ([0, 3, 5], 4, 20),
        ([0, 1, 2, 5], 4, 6),
    ],
)
def test_a_digit_construction_counts_like_its_list(mask, digits, limit):
    counted = PROBLEM.verify({"mask": mask, "digits": digits, "limit": limit}).value
    numbers = listed(mask, digits, limit)
    assert counted == PROBLEM.verify(numbers).value
    assert float(counted) == pytest.approx(exponent(numbers), rel=1e-12)


def test_large_and_small_numbers_are_counted_alike():
    numbers = [0, 3, 10, 17, 31, 90, 1 << 20]
    shifted = [n << 20 for n in numbers]  # too large to be bits
    for data in (numbers, shifted):
        assert float(PROBLEM.verify(data).value) == pytest.approx(exponent(data), rel=1e-12)


def test_many_digits_are_counted_without_a_list():
    value = PROBLEM.verify({"mask": [0, 1, 2, 3], "digits": 30, "limit": 20}).value
    assert value.decimal(9) == "1.143634059"
    assert value.upper - value.lower < Fraction(1, 10**50)


def test_the_limit_agrees_with_floats_and_is_approached():
    mask, rate = [0, 1, 2, 3], 1.0
    sums = {a + b for a in mask for b in mask}
    costs = {
        a - b: min(x + y for x in mask for y in mask if x - y == a - b) for a in mask for b in mask
    }
    plus = sum(math.exp(-rate * s) for s in sums)
    minus = sum(math.exp(-rate * cost) for cost in costs.values())
    expected = 1 + math.log(minus / plus) / math.log(7)
    limit = PROBLEM.verify({"mask": mask, "rate": rate}).value
    assert float(limit) == pytest.approx(expected, rel=1e-12)
    share = sum(c * math.exp(-rate * c) for c in costs.values()) / minus / 2
    finite = [
        float(PROBLEM.verify({"mask": mask, "digits": n, "limit": round(n * share)}).value)
        for n in (5, 10, 20, 40)
    ]
    assert finite == sorted(finite)
    assert finite[-1] < limit.lower


def test_the_masked_digits_of_the_record_come_out_at_its_value():
    top, generators = 17032, (1518, 1524, 1587, 2024, 2032, 2116)
    reached = {0}
    for number in range(1, top + 1):
        if any(number - generator in reached for generator in generators):
            reached.add(number)
    rate = "321149844434550835903084464712/" + str(10**33)
    value = PROBLEM.verify({"U": {"mask": sorted(reached), "rate": rate}}).value
    assert value.decimal(9) == "1.191028097"


def test_a_mask_that_is_none_is_refused_in_one_line():
    with pytest.raises(RefusedError, match="mask: needs 0"):
        PROBLEM.verify({"U": {"mask": [3, 4], "rate": 0}})


@given(st.sets(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 24))
@settings(max_examples=25, deadline=None)
def test_counting_by_states_agrees_with_listing(entries, digits, limit):
    mask = [0, *sorted(entries)]
    limit = min(max(limit, mask[1]), digits * mask[-1])
    counted = PROBLEM.verify({"mask": mask, "digits": digits, "limit": limit}).value
    assert float(counted) == pytest.approx(exponent(listed(mask, digits, limit)), rel=1e-12)
