import itertools
import math
import random

import numpy as np
import pytest
from scipy import stats

from breeder.errors import ConfigError
from breeder.measurement import estimate, inflation
from breeder.measurement.estimation import EXACT_UP_TO, _rejected_ranks
from measurement.machines import NASTY, Machine, Noise


def walsh(values: list[float]) -> list[float]:
    pairs = itertools.combinations_with_replacement(values, 2)
    return sorted(0.5 * (a + b) for a, b in pairs)


def test_the_centre_is_the_median_of_pairwise_means() -> None:
    for count in (1, 2, 7, 12, 31):
        values = Machine(NASTY, count).log_ratios(count)
        assert estimate(values).centre == pytest.approx(np.median(walsh(values)), abs=1e-9)


def test_the_ends_are_what_the_signed_rank_test_does_not_reject() -> None:
    values = Machine(NASTY, 1).log_ratios(18)
    _, low, high = estimate(values, error=0.05)
    width = high - low
    for theta, rejected in (
        (low - 1e-6 * width, True), (low + 1e-6 * width, False),
        (high - 1e-6 * width, False), (high + 1e-6 * width, True),
    ):  # fmt: skip
        test = stats.wilcoxon(np.array(values) - theta, method="exact")
        assert (test.pvalue <= 0.05) == rejected


def test_five_pairs_are_too_few_at_five_per_cent_and_six_are_not() -> None:
    assert estimate([0.1, 0.2, 0.3, 0.4, 0.5])[1:] == (-math.inf, math.inf)
    assert estimate([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])[1:] == pytest.approx((0.1, 0.6))


def test_the_normal_approximation_joins_the_exact_ranks() -> None:
    count = EXACT_UP_TO + 1
    rank = _rejected_ranks(count, 0.05)
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for r in range(1, count + 1):
        ways[r:] += ways[:-r].copy()
    below = np.cumsum(ways) / 2.0**count
    assert rank is not None
    assert 0.0245 < below[rank] < 0.0255


@pytest.mark.parametrize("noise", [Noise(), NASTY], ids=["normal", "nasty"])
def test_about_95_of_100_intervals_hold_the_truth(noise: Noise) -> None:
    held = 0
    for seed in range(400):
        _, low, high = estimate(Machine(noise, seed).log_ratios(30, ratio=1.1))
        held += low <= math.log(1.1) <= high
    assert 0.92 <= held / 400 <= 0.98


def test_order_does_not_matter_while_it_is_random() -> None:
    values = Machine(Noise(), 2).log_ratios(40)
    assert estimate(values) == estimate(values[::-1])


def test_thousands_of_pairs_are_no_trouble() -> None:
    values = Machine(Noise(), 3).log_ratios(5000, ratio=1.02)
    _, low, high = estimate(values)
    assert low < math.log(1.02) < high
    assert high - low < 0.006


def wandering(seed: int, count: int) -> list[float]:
    rng = random.Random(seed)
    state, values = 0.0, []
    for _ in range(count):
        state = 0.95 * state + 0.31 * rng.gauss(0.0, 0.05)
        values.append(state + rng.gauss(0.0, 0.03))
    return values


def test_a_ratio_that_wanders_widens_the_interval() -> None:
    factors = [inflation(wandering(seed, 300)) for seed in range(30)]
    assert sum(factor > 2.0 for factor in factors) >= 25
    estimates = [estimate(wandering(seed, 300)) for seed in range(100)]
    held = sum(low <= 0.0 <= high for _, low, high in estimates)
    assert held >= 80


def test_bursts_and_drift_of_the_machine_do_not() -> None:
    alarms = [inflation(Machine(NASTY, seed).log_ratios(150)) > 1.0 for seed in range(100)]
    assert sum(alarms) <= 5


def test_few_or_equal_pairs_widen_nothing() -> None:
    assert inflation([0.1, -0.1] * 10) == 1.0
    assert inflation([0.1] * 100) == 1.0


@pytest.mark.parametrize("values", [[], [0.1, math.nan], [math.inf]])
def test_unusable_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ConfigError, match="finite"):
        estimate(values)


def test_an_error_level_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="error"):
        estimate([0.1, 0.2], error=1.5)
