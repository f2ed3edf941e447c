import math
import time

import pytest

from breeder.errors import ConfigError
from breeder.measurement import ConfidenceSequence, estimate
from measurement.machines import NASTY, Machine, Noise


def sequence_of(values: list[float], error: float = 0.05) -> ConfidenceSequence:
    sequence = ConfidenceSequence(error=error)
    for value in values:
        sequence.add(value)
    return sequence


def ever_wrong(noise: Noise, seed: int, error: float, pairs: int = 200) -> bool:
    sequence = ConfidenceSequence(error=error)
    for value in Machine(noise, seed).log_ratios(pairs):
        sequence.add(value)
        if sequence.rejects(0.0):
            return True
    return False


@pytest.mark.parametrize("noise", [Noise(), NASTY], ids=["normal", "nasty"])
def test_looking_after_every_pair_keeps_the_error(noise: Noise) -> None:
    # A bound of 20 %: were it ignored, far more than 15 of 60 sequences would be wrong.
    wrong = sum(ever_wrong(noise, seed, error=0.2) for seed in range(60))
    assert wrong <= 15


def test_a_fixed_interval_would_not_survive_looking() -> None:
    def ever_outside(seed: int) -> bool:
        values = Machine(Noise(), seed).log_ratios(120)
        fixed = (estimate(values[:n], error=0.2) for n in range(10, 121, 3))
        return any(not e.low <= 0.0 <= e.high for e in fixed)

    assert sum(ever_outside(seed) for seed in range(40)) > 12


def test_the_interval_shrinks_and_holds_the_truth() -> None:
    values = Machine(NASTY, 4).log_ratios(800, ratio=1.05)
    widths = []
    for count in (20, 200, 800):
        low, high = sequence_of(values[:count]).interval()
        assert low < math.log(1.05) < high
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 2.5 * widths[2]


def test_no_more_than_two_thirds_wider_than_a_fixed_sample_allows() -> None:
    for count, factor in ((20, 2.2), (150, 1.8), (1000, 1.9)):
        values = Machine(Noise(), count).log_ratios(count)
        low, high = sequence_of(values).interval()
        fixed = estimate(values)
        assert high - low < factor * (fixed.high - fixed.low)


def test_rejecting_agrees_with_the_interval() -> None:
    sequence = sequence_of(Machine(NASTY, 7).log_ratios(100, ratio=1.2))
    low, high = sequence.interval()
    for inside in (0.01, 0.3, 0.7, 0.99):
        assert not sequence.rejects(low + inside * (high - low))
    for outside in (0.01, 0.5, 5.0):
        assert sequence.rejects(low - outside * (high - low))
        assert sequence.rejects(high + outside * (high - low))


def test_asking_in_between_changes_nothing() -> None:
    values = Machine(NASTY, 8).log_ratios(60, ratio=1.3)
    asked = ConfidenceSequence()
    for value in values:
        asked.add(value)
        asked.rejects(0.0)
    fresh = sequence_of(values)
    assert asked.rejects(0.0) == fresh.rejects(0.0) is True
    assert asked.interval() == fresh.interval()


def test_few_values_reject_nothing() -> None:
    assert ConfidenceSequence().interval() == (-math.inf, math.inf)
    assert sequence_of([0.5] * 5).interval() == (-math.inf, math.inf)
    low, high = sequence_of([0.5 + 0.001 * i for i in range(12)]).interval()
    assert 0.4 < low < high < 0.6


def test_one_far_value_hardly_moves_it() -> None:
    values = Machine(Noise(), 3).log_ratios(100)
    low, high = sequence_of(values).interval()
    worse_low, worse_high = sequence_of([*values[:60], 50.0, *values[60:]]).interval()
    assert worse_low == pytest.approx(low, abs=0.3 * (high - low))
    assert worse_high == pytest.approx(high, abs=0.3 * (high - low))


def test_equal_values_have_a_narrow_interval() -> None:
    low, high = sequence_of([0.25] * 30).interval()
    assert low <= 0.25 <= high
    assert high - low < 1e-6


def test_the_clip_is_fixed_before_the_value_comes() -> None:
    # Symmetry survives only then: the first 50 values' part in the evidence must not change.
    values = Machine(Noise(), 5).log_ratios(50)
    quiet, loud = sequence_of([*values, 0.0]), sequence_of([*values, 100.0])
    assert list(quiet._clips) == list(loud._clips)


def test_five_thousand_pairs_cost_little() -> None:
    values = Machine(Noise(), 6).log_ratios(5000)
    sequence = ConfidenceSequence()
    begin = time.process_time()
    for index, value in enumerate(values):
        sequence.add(value)
        if index % 25 == 0:
            sequence.rejects(0.0)
    sequence.interval()
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize("error", [0.0, 1.0, -0.1, math.nan])
def test_an_error_level_out_of_range_is_refused(error: float) -> None:
    with pytest.raises(ConfigError, match="error"):
        ConfidenceSequence(error=error)


def test_an_empty_sequence_has_no_centre() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        ConfidenceSequence().centre()
