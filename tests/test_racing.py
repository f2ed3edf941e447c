import math
import random
from statistics import NormalDist

import pytest

from breeder.archive.records import ChallengeOutcome
from breeder.core import Direction, Elite, Evaluation, Objective, Program
from breeder.errors import TaskError
from breeder.racing import Challenge, Estimate, Race, Rules, Scale, pool

RATIO = Scale(Objective("speedup"), ratio=True)
NOISE = 0.02  # standard error of one measurement, on the comparison scale
RULES = Rules(heats=4, error=0.05)


def measured(rng: random.Random, truth: float) -> Estimate:
    return Estimate(rng.gauss(truth, NOISE), NOISE)


def race(
    rng: random.Random, truth: float, number: int, champion: list[Estimate], *, rules: Rules = RULES
) -> tuple[str, int]:
    """Run one challenge against a champion whose truth is 0; its outcome and its heats."""
    run = Race(RATIO, rules, holder=challenge(0, champion))
    challenger = challenge(number, [])
    while (outcome := run.decide(challenger)) is ChallengeOutcome.OPEN:
        runner = run.runs_next(challenger)
        runner.heats.append(measured(rng, truth if runner is challenger else 0.0))
        challenger.defences += runner is not challenger
    return outcome.value, len(challenger.heats) + challenger.defences


def challenge(number: int, heats: list[Estimate]) -> Challenge:
    return Challenge(number, number + 1, Program(str(number), {}), Evaluation(), heats)


def confirmed_start(rng: random.Random, heats: int = RULES.heats) -> list[Estimate]:
    return [measured(rng, 0.0) for _ in range(heats)]


def crowned_by_noise(seed: int, candidates: int = 500, rules: Rules = RULES) -> bool:
    """Whether a run of candidates that are all equal to the start crowns one of them."""
    rng = random.Random(seed)
    champion, number = confirmed_start(rng, rules.heats_of_start), 0
    for _ in range(candidates):
        score, known = measured(rng, 0.0), pool(champion)
        if score.value - known.value > math.hypot(score.error, known.error):
            number += 1
            if race(rng, 0.0, number, champion, rules=rules)[0] == "confirmed":
                return True
    return False


def test_runs_of_pure_noise_crown_nobody() -> None:
    """The bound is 5 %, and the union bound behind it is loose."""
    assert sum(crowned_by_noise(seed) for seed in range(200)) <= 10


def test_the_champions_own_heats_do_not_help_noise() -> None:
    rules = Rules(heats=6, error=0.05)
    assert sum(crowned_by_noise(seed, 150, rules) for seed in range(300)) <= 15


def test_a_heat_goes_to_the_champion_where_that_decides_more() -> None:
    """Of a lead of two percent: known to 0.3 % against a champion known to 1.4 %."""
    run = Race(RATIO, Rules(6, 0.05), holder=challenge(0, [Estimate(0.0, NOISE)] * 2))
    challenger = challenge(1, [Estimate(0.05, NOISE)])
    assert run.runs_next(challenger) is challenger  # one heat is not believed
    challenger.heats.append(Estimate(0.05, NOISE))
    assert run.runs_next(challenger) is challenger  # as well known as the champion
    challenger.heats.append(Estimate(0.05, NOISE))
    assert run.runs_next(challenger) is run.holder
    rng, wins = random.Random(4), [0, 0]
    for _ in range(300):
        wins[0] += race(rng, 0.06, 2, confirmed_start(rng, 2), rules=run.rules)[0] == "confirmed"
        heats = [measured(rng, 0.06) for _ in range(run.rules.heats)]
        lead = pool(heats).value - (known := pool(confirmed_start(rng, 2))).value
        alone = run.rules.quantile(2) * math.hypot(pool(heats).error, known.error)
        wins[1] += lead > alone
    assert wins[0] > 1.2 * wins[1]


def test_the_least_lead_is_confirmed_nine_times_in_ten() -> None:
    rng, rules = random.Random(6), Rules(heats=6, error=0.05)
    champion = [Estimate(0.0, NOISE)] * 3
    least = rules.least_lead(2, champion)
    won = [race(rng, least, 2, list(champion), rules=rules)[0] for _ in range(400)]
    assert 0.8 < won.count("confirmed") / len(won) < 0.97
    assert rules.least_lead(9, champion) > least  # later challenges are harder to win


def test_small_leads_race_only_when_the_search_has_ended() -> None:
    rules = Rules(heats=6, error=0.05)
    run = Race(RATIO, rules, holder=challenge(0, [Estimate(0.0, 0.005)] * 3), last=0)
    small, large = (scored(lead, 0.002) for lead in (0.008, 0.05))
    assert run.foremost([small]) is None
    assert run.surest == pytest.approx(0.008 - 1.645 * 0.002, abs=1e-4)  # the search takes note
    assert run.foremost([small], final=True) is small
    assert run.foremost([small, large]) is large


def scored(value: float, error: float) -> Elite:
    ends = [math.exp(value + side * 1.959964 * error) for side in (-1, 0, 1)]
    found = Evaluation({"speedup": ends[1]}, intervals={"speedup": (ends[0], ends[2])})
    return Elite(Program(f"{value}", {}), found, ends[1])


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
    assert RULES.decide(1, [far], [champion]) is ChallengeOutcome.OPEN
    assert RULES.decide(1, [far, far], [champion]) is ChallengeOutcome.CONFIRMED
    assert Rules(1, 0.05).decide(1, [far], [champion]) is ChallengeOutcome.CONFIRMED
    assert Rules(1, 0.05).decide(1, [champion], [champion]) is ChallengeOutcome.REFUTED


def test_the_champions_own_error_counts() -> None:
    heats = [Estimate(0.08, NOISE)] * 4
    assert RULES.decide(1, heats, [Estimate(0.0, 0.005)]) is ChallengeOutcome.CONFIRMED
    assert RULES.decide(1, heats, [Estimate(0.0, 0.05)]) is ChallengeOutcome.REFUTED


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
