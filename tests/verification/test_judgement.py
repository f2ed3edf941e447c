"""From trials to verdicts."""

import math
import random

import msgspec
import pytest
from tests.verification.made_up import certificate, trials

from breeder.core import Direction, Objective
from breeder.errors import CertificateError, EvaluatorError
from breeder.verification.certificate import Trial
from breeder.verification.judgement import (
    MANY,
    check_verdict,
    contradicts_claim,
    describe,
    improvements,
    judge,
)

ERROR = (Objective("error", Direction.MINIMIZE),)
SPEEDUP = (Objective("speedup", Direction.MAXIMIZE),)


def speed(side, seed, value, half=None):
    intervals = {} if half is None else {"speedup": (value / (1 + half), value * (1 + half))}
    return Trial(side=side, seed=seed, metrics={"speedup": value}, intervals=intervals)


def test_equal_values_on_all_seeds_are_exact():
    found = judge(trials((8.0, 8.0), (3.0, 3.0)), ERROR, ratio=False)
    assert found.verdict == "holds"
    assert found.effect.exact
    assert (found.effect.low, found.effect.centre, found.effect.high) == (5.0, 5.0, 5.0)
    assert describe(found.effect) == "+5 (exact)"


def test_exactly_as_good_does_not_hold():
    found = judge(trials((8.0, 8.0), (8.0, 8.0)), ERROR, ratio=False)
    assert found.verdict == "does not hold"
    assert "exactly as good as the start" in found.reason


def test_worse_than_the_start_does_not_hold():
    found = judge(trials((8.0, 8.1, 7.9), (9.0, 9.2, 9.1)), ERROR, ratio=False)
    assert found.verdict == "does not hold"
    assert found.effect.high < 0.0


def test_scatter_gives_students_interval():
    # Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t(2, 97.5 %) = 4.302653.
    found = judge(trials((2.0, 3.0, 4.0), (1.0, 1.0, 1.0)), ERROR, ratio=False)
    half = 4.302652729911275 / math.sqrt(3)
    assert found.effect.centre == pytest.approx(2.0)
    assert found.effect.low == pytest.approx(2.0 - half)
    assert found.effect.high == pytest.approx(2.0 + half)
    assert found.verdict == "not decided"
    assert "Student" in found.effect.basis


def test_many_seeds_need_no_normal_scatter():
    rng = random.Random(1)
    start = [5.0 + rng.uniform(0, 1) for _ in range(MANY)]
    found = judge(trials(start, [1.0] * MANY), ERROR, ratio=False)
    assert found.verdict == "holds"
    assert "Wilcoxon" in found.effect.basis
    assert min(start) - 1.0 <= found.effect.low <= found.effect.high <= max(start) - 1.0


def test_one_seed_alone_decides_nothing():
    found = judge(trials((8.0,), (1.0,)), ERROR, ratio=False)
    assert found.verdict == "not decided"
    assert found.effect.low is None
    assert "--seeds" in found.reason


def test_one_seed_with_the_evaluators_intervals_decides():
    pair = (speed("start", 1, 1.0, 0.05), speed("champion", 1, 1.5, 0.05))
    found = judge(pair, SPEEDUP, ratio=True)
    half = math.sqrt(2) * math.log(1.05)
    assert found.effect.centre == pytest.approx(1.5)
    assert found.effect.low == pytest.approx(1.5 * math.exp(-half))
    assert found.verdict == "holds"


def test_the_wider_of_scatter_and_given_intervals_counts():
    def found(half):
        outcome = [
            trial
            for seed in range(4)
            for trial in (
                speed("start", seed, 1.0, half),
                speed("champion", seed, 1.5 + 0.01 * seed, half),
            )
        ]
        return judge(outcome, SPEEDUP, ratio=True).effect

    assert found(1e-6).low == pytest.approx(found(None).low)
    assert found(0.2).low < found(None).low
    assert found(0.2).high > found(None).high


def test_a_ratio_of_a_metric_to_minimise_is_above_one_when_it_falls():
    times = (Objective("error", Direction.MINIMIZE),)
    found = judge(trials((8.0, 8.0), (4.0, 4.0)), times, ratio=True)
    assert found.effect.centre == pytest.approx(2.0)
    assert found.effect.neutral == 1.0
    assert found.verdict == "holds"


def test_ratios_need_positive_values():
    with pytest.raises(EvaluatorError, match="above 0"):
        judge(trials((8.0, 8.0), (0.0, 0.0)), ERROR, ratio=True)


def test_one_failure_of_the_champion_decides():
    outcome = (*trials((8.0, 8.0), (1.0,)),
               Trial(side="champion", seed=1, metrics={}, failure="invalid: wrong"))  # fmt: skip
    found = judge(outcome, ERROR, ratio=False)
    assert found.verdict == "does not hold"
    assert "seed 1: invalid: wrong" in found.reason


def test_a_start_that_fails_leaves_nothing_to_compare():
    outcome = (*trials((), (1.0,)), Trial(side="start", seed=0, metrics={}, failure="crash"))
    found = judge(outcome, ERROR, ratio=False)
    assert found.verdict == "not decided"
    assert "crash" in found.reason


def test_a_missing_objective_is_the_evaluators_fault():
    outcome = tuple(Trial(side=s, seed=0, metrics={"other": 1.0}) for s in ("start", "champion"))
    with pytest.raises(EvaluatorError, match="'error'"):
        judge(outcome, ERROR, ratio=False)


def test_false_holds_under_no_difference_are_rare():
    rng = random.Random(7)
    runs = 2000
    wrong = 0
    for _ in range(runs):
        start = [rng.gauss(0, 1) for _ in range(5)]
        champion = [rng.gauss(0, 1) for _ in range(5)]
        wrong += judge(trials(start, champion), ERROR, ratio=False).verdict == "holds"
    # One side of a 95 % interval: 2.5 % expected, 3 standard deviations are 1.05 %.
    assert 0.0145 <= wrong / runs <= 0.0355


def test_a_false_claim_for_a_construction_is_told():
    outcome = tuple(
        Trial(side=s, seed=None, metrics={"error": v})
        for s, v in (("start", 8.0), ("champion", 4.0))
    )
    assert contradicts_claim(outcome, {"error": 4.0}, ERROR) == ""
    assert contradicts_claim(outcome, {"error": 5.0}, ERROR) == ""
    assert "claims error 3.0" in contradicts_claim(outcome, {"error": 3.0}, ERROR)


def test_improvements_are_per_seed_and_signed():
    assert improvements(certificate()) == pytest.approx({0: 7.0, 1: 7.8, 2: 7.6})


def test_a_verdict_must_follow_from_the_trials():
    good = certificate()
    check_verdict(good)
    better = msgspec.structs.replace(good.effect, low=good.effect.low + 1.0)
    for forged in (
        certificate(outcome=trials((8.0, 8.0), (9.0, 9.0)), verdict="holds"),
        msgspec.structs.replace(good, effect=better),
        msgspec.structs.replace(good, seeds=(0, 1, 2, 3)),
        msgspec.structs.replace(good, effect=None),
    ):
        with pytest.raises(CertificateError, match="does not follow"):
            check_verdict(forged)
