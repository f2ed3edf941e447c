"""Racing, confirmation and fresh trials of the matmul tiling task, under noisy fake clocks."""

import math
import random

import pytest

from suites.direct import DirectCandidate
from suites.fake_tiling import (
    FOLDER,
    TEXTBOOK,
    WIDE,
    Choice,
    FakeClock,
    Memo,
    NoisyClock,
    Speedups,
    evaluate,
    fake_speedups,
    packing_costs,
    shapes,
    trials,
)

TRAINING = shapes.flat(shapes.TRAINING)
BARE = WIDE.textbook()._replace(pack_a=0, pack_b=0)


@pytest.fixture
def fake_task(monkeypatch):
    speedups, clock = fake_speedups()
    monkeypatch.setattr(evaluate, "speedups", lambda: (speedups, clock))
    monkeypatch.setattr(evaluate, "fresh_clock", lambda seed: (WIDE, FakeClock(packing_costs)))
    return speedups


def fresh_trial(tiling, clock, seed=0, **options):
    choice = [(shape, tiling) for shape in TRAINING]
    return trials.trial(WIDE, clock, choice, rng=random.Random(seed), **options)


def test_search_interval_holds_the_truth_and_narrows_with_rounds():
    tilings = [BARE] * len(TRAINING)
    truth = (1.5**16 * 1.2**4) ** (1 / 20)
    held, widths = 0, []
    for seed in range(40):
        speedups = Speedups(WIDE, NoisyClock(packing_costs, seed), Memo(":memory:"))
        few = speedups.glance(TRAINING, tilings).interval
        low, high = speedups.race(TRAINING, tilings, 1.0).interval
        held += low <= truth <= high
        widths.append((high - low) / (few[1] - few[0]))
    # 38 of 40 are expected; fewer than 32 has a probability below 1 in 1,000.
    assert held >= 32
    assert sum(widths) / len(widths) < 0.7


def test_what_cannot_reach_the_value_to_beat_is_left_at_a_glance():
    tilings = [BARE._replace(order=1)] * len(TRAINING)
    rounds = {}
    for to_beat in (None, 1.2, 3.0):
        speedups, clock = fake_speedups()
        value = math.exp(speedups.race(TRAINING, tilings, to_beat).centre)
        assert value == pytest.approx((1.5**16 * 1.2**4) ** (1 / 20))
        rounds[to_beat] = clock.batches
    assert rounds[3.0] == 2 * 2 * len(TRAINING)
    assert rounds[None] == 2 * rounds[3.0]
    assert rounds[1.2] == 12 * rounds[3.0]


def test_equal_work_is_measured_when_it_is_confirmed(fake_task):
    result = evaluate.confirm(DirectCandidate(FOLDER))
    assert result.metrics == {"speedup": 1.0, "rounds": 16.0}
    noisy = fresh_trial(WIDE.textbook(), NoisyClock(packing_costs, 5))
    assert noisy.low < noisy.value < noisy.high
    assert noisy.value != 1.0


def test_trials_of_equal_work_seldom_exclude_one():
    results = [fresh_trial(WIDE.textbook(), NoisyClock(packing_costs, s), s) for s in range(60)]
    # 3 of 60 are expected to; more than 9 has a probability below 1 in 500.
    assert sum(not r.low <= 1.0 <= r.high for r in results) <= 9
    assert sum(r.high / r.low for r in results) / 60 < 1.06


def test_a_trial_ends_early_when_it_is_clearly_below_the_value_to_beat():
    length = trials.Length(pairs=2, least=6, most=9)
    for to_beat, rounds in ((None, 9), (1.1, 9), (3.0, 6)):
        clock = NoisyClock(packing_costs, 1)
        result = fresh_trial(BARE, clock, length=length, to_beat=to_beat)
        assert len(result.log_ratios) == rounds
        assert len(result.per_shape) == len(TRAINING)
        assert math.isfinite(result.low)
        assert math.isfinite(result.high)


def test_confirmation_times_all_training_shapes_uses_no_memory_and_corrects_it(fake_task):
    for shape in TRAINING:
        fake_task.take(shape, BARE, [(9.0, 1.0)] * 3)
    bare = Choice(lambda rows: [{**TEXTBOOK, "pack_a": 0, "pack_b": 0} for _ in rows])
    result = evaluate.confirm(bare)
    assert result.metrics["speedup"] == pytest.approx((1.5**16 * 1.2**4) ** (1 / 20), rel=0.01)
    low, high = result.intervals["speedup"]
    assert low <= result.metrics["speedup"] <= high
    truth = pytest.approx((1.5**16 * 1.2**4) ** (1 / 20), rel=0.01)
    assert math.exp(fake_task.standing(TRAINING, [BARE] * len(TRAINING)).centre) == truth
    assert {fake_task.count(shape, BARE) for shape in TRAINING} == {3 + 2 * 16}
    assert not any(fake_task.count(shape, WIDE.textbook()) for shape in TRAINING)
    given_up = evaluate.confirm(Choice(bare.rule, to_beat=3.0))
    assert given_up.metrics["rounds"] == 6


def test_unusual_shapes_are_new_and_of_every_layout():
    known = {s[:3] for s in shapes.flat(shapes.TRAINING) + shapes.flat(shapes.HELD_OUT)}
    assert not {s[:3] for s in shapes.UNUSUAL} & known
    assert len({s[3:] for s in shapes.UNUSUAL}) == 4
