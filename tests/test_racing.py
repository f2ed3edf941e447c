import math
import random
from statistics import NormalDist

import pytest

from breeder.archive.records import ChallengeOutcome
from breeder.core import Direction, Evaluation, Objective
from breeder.errors import TaskError
from breeder.racing import Estimate, Rules, Scale, pool

RATIO = Scale(Objective("speedup"), ratio=True)
NOISE = 0.02  # standard error of one measurement, on the comparison scale
RULES = Rules(heats=4, error=0.05)


def measured(rng: random.Random, truth: float) -> Estimate:
    return Estimate(rng.gauss(truth, NOISE), NOISE)


def race(rng: random.Random, truth: float, number: int, champion: Estimate) -> tuple[str, int]:
    """Run one challenge; its outcome and how many heats it took."""
    heats: list[Estimate] = []
    while True:
        heats.append(measured(rng, truth))
        outcome = RULES.decide(number, heats, champion)
        if outcome is not ChallengeOutcome.OPEN:
            return outcome.value, len(heats)


def confirmed_start(rng: random.Random) -> Estimate:
    return pool([measured(rng, 0.0) for _ in range(RULES.heats)])


def crowned_by_noise(seed: int, candidates: int = 500) -> bool:
    """Whether a run of candidates that are all equal to the start crowns one of them."""
    rng = random.Random(seed)
    champion, number = confirmed_start(rng), 0
    for _ in range(candidates):
        score = measured(rng, 0.0)
        if score.value - champion.value > math.hypot(score.error, champion.error):
            number += 1
            if race(rng, 0.0, number, champion)[0] == "confirmed":
                return True
    return False


def test_runs_of_pure_noise_crown_nobody() -> None:
    """The bound is 5 %, and the union bound behind it is loose."""
    assert sum(crowned_by_noise(seed) for seed in range(200)) <= 10


def test_levels_sum_to_the_error_that_was_asked_for() -> None:
    looks = RULES.heats - 1
    levels = [looks * NormalDist().cdf(-RULES.quantile(k)) for k in range(1, 20_000)]
    assert 0.0499 < sum(levels) < 0.05
    assert levels[0] == pytest.approx(0.05 * 6 / math.pi**2)


def test_a_truly_better_program_is_confirmed() -> None:
    rng = random.Random(1)
    outcomes = [race(rng, 0.10, 3, confirmed_start(rng))[0] for _ in range(300)]
    assert outcomes.count("confirmed") >= 270


def test_bad_ones_are_stopped_after_few_heats() -> None:
    rng = random.Random(2)
    taken = [race(rng, -0.03, 3, confirmed_start(rng)) for _ in range(300)]
    assert {outcome for outcome, _ in taken} == {"refuted"}
    assert sum(heats for _, heats in taken) < 1.3 * len(taken)


def test_one_heat_never_confirms_unless_it_is_the_only_one() -> None:
    champion, far = Estimate(0.0, NOISE), Estimate(1.0, NOISE)
    assert RULES.decide(1, [far], champion) is ChallengeOutcome.OPEN
    assert RULES.decide(1, [far, far], champion) is ChallengeOutcome.CONFIRMED
    assert Rules(1, 0.05).decide(1, [far], champion) is ChallengeOutcome.CONFIRMED
    assert Rules(1, 0.05).decide(1, [champion], champion) is ChallengeOutcome.REFUTED


def test_the_champions_own_error_counts() -> None:
    heats = [Estimate(0.08, NOISE)] * 4
    assert RULES.decide(1, heats, Estimate(0.0, 0.005)) is ChallengeOutcome.CONFIRMED
    assert RULES.decide(1, heats, Estimate(0.0, 0.05)) is ChallengeOutcome.REFUTED


def test_pooling_weighs_by_inverse_variance_and_widens_where_heats_disagree() -> None:
    assert pool([Estimate(1.0, 0.1)]) == pytest.approx((1.0, 0.1))
    both = pool([Estimate(1.0, 0.1), Estimate(1.06, 0.2)])
    assert both.value == pytest.approx(1.012)
    assert both.error == pytest.approx((1 / 0.1**2 + 1 / 0.2**2) ** -0.5)
    # Two heats five errors apart: what they say of themselves is not believed.
    apart = pool([Estimate(1.0, 0.1), Estimate(1.5, 0.1)])
    assert apart.error == pytest.approx(0.25)


def test_a_ratio_is_compared_on_a_logarithmic_scale() -> None:
    found = RATIO.read(Evaluation({"speedup": 2.0}, intervals={"speedup": (1.0, 4.0)}))
    assert found.value == pytest.approx(math.log(2))
    assert found.error == pytest.approx(math.log(4) / 3.92, rel=1e-4)
    assert RATIO.figures(found) == pytest.approx((2.0, 1.0, 4.0))
    lower = Scale(Objective("seconds", Direction.MINIMIZE), ratio=False)
    seconds = lower.read(Evaluation({"seconds": 3.0}, intervals={"seconds": (2.0, 4.0)}))
    assert seconds.value == -3.0
    assert lower.figures(seconds) == pytest.approx((3.0, 2.0, 4.0))


def test_an_interval_that_is_missing_or_no_ratio_is_the_tasks_mistake() -> None:
    with pytest.raises(TaskError, match="no interval for 'speedup'"):
        RATIO.read(Evaluation({"speedup": 2.0}))
    with pytest.raises(TaskError, match="is no ratio"):
        RATIO.read(Evaluation({"speedup": 2.0}, intervals={"speedup": (0.0, 4.0)}))


def test_an_exact_measurement_has_a_finite_weight() -> None:
    exact = RATIO.read(Evaluation({"speedup": 2.0}, intervals={"speedup": (2.0, 2.0)}))
    assert pool([exact, exact]).value == pytest.approx(math.log(2))
