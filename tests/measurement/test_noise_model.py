import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from breeder.measurement.noise_model import Ingredient, NoiseModel, Samples, in_bursts

# CPU microseconds of equal work, 1000 interleaved pairs per kind, on two shared virtual cores under
# load 3: `breeder.measurement.workloads`, twins, in the order in which they were taken.
RECORDED = json.loads((Path(__file__).parents[1] / "data" / "timing_noise.json").read_text())
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
BLOCK = 20  # pairs: blocks are fitted and held out by turns, so both halves saw the same hours

PLAIN = NoiseModel(
    scale=1e-3,
    floor=0.95,
    location=-3.0,
    sigma=0.7,
    persistence=0.9,
    remembered=0.4,
    drift=0.0,
    burst_start=0.004,
    burst_end=0.05,
    burst_level=0.5,
    outliers=0.02,
    outlier_from=0.6,
    outlier_mean=0.3,
)


def lag_1(samples: Samples) -> float:
    """Autocorrelation of neighbouring logarithms, clipped at 30 % from the median."""
    logs = np.clip(np.log(samples / np.median(samples)), -0.3, 0.3)
    return float(np.corrcoef(logs[:-1], logs[1:])[0, 1])


def quantiles(samples: Samples) -> Samples:
    """Of the logarithms about their median."""
    return np.quantile(np.log(samples / np.median(samples)), QUANTILES)


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("kind", RECORDED)
def test_the_fitted_model_is_like_recorded_samples_it_has_not_seen(kind: str, turn: int) -> None:
    both = np.array([RECORDED[kind]["baseline"], RECORDED[kind]["candidate"]]).T
    blocks = both.reshape(-1, BLOCK, 2)
    model = NoiseModel.fit(*blocks[turn::2].reshape(-1, 2).T)
    unseen = blocks[1 - turn :: 2].ravel()
    rng = np.random.default_rng(1)
    drawn = [model.draw(rng, len(unseen)) for _ in range(40)]
    means = np.mean([quantiles(samples) for samples in drawn], axis=0)
    differences = np.abs(means - quantiles(unseen))
    # Relative to the median; the deciles are 6-12 % apart, and the upper one is where bursts come.
    assert differences[:-1].max() < 0.01
    assert differences[-1] < 0.04
    assert abs(float(np.mean([lag_1(samples) for samples in drawn])) - lag_1(unseen)) < 0.3
    share = float(np.mean([in_bursts(samples).mean() for samples in drawn]))
    assert abs(share - in_bursts(unseen).mean()) < 0.04


def test_the_fit_finds_the_parameters_that_samples_were_drawn_with() -> None:
    baseline, candidate = PLAIN.draw_pairs(np.random.default_rng(2), 20_000, ratio=1.3)
    found = NoiseModel.fit(baseline, candidate)
    assert found.burst_share == pytest.approx(PLAIN.burst_share, rel=0.3)
    assert found.burst_level == pytest.approx(PLAIN.burst_level, rel=0.15)
    assert 1 / found.burst_end == pytest.approx(20, rel=0.4)
    assert found.outliers == pytest.approx(0.02, abs=0.01)
    assert found.persistence == pytest.approx(0.9, abs=0.06)
    assert found.remembered == pytest.approx(0.4, abs=0.15)
    assert found.sigma == pytest.approx(0.7, rel=0.2)
    assert found.drift < 3e-4


def test_the_fit_finds_a_drift() -> None:
    model = replace(PLAIN, drift=0.002, burst_start=0.0, outliers=0.0)
    found = [
        NoiseModel.fit(*model.draw_pairs(np.random.default_rng(seed), 5000)).drift
        for seed in range(10)
    ]
    assert np.median(found) == pytest.approx(0.002, rel=0.4)


def test_pairs_have_the_ratio_asked_for_and_share_their_state() -> None:
    baseline, candidate = PLAIN.draw_pairs(np.random.default_rng(3), 4000, ratio=1.25)
    logs = np.log(baseline / candidate)
    assert np.median(logs) == pytest.approx(np.log(1.25), abs=0.005)
    # Both sides of a pair lie in the same burst, so the ratio varies less than either.
    assert np.corrcoef(np.log(baseline), np.log(candidate))[0, 1] > 0.5
    # The order within a pair is drawn: deviations of the ratio know nothing of their neighbours.
    deviations = np.sign(logs - np.log(1.25))
    assert abs(np.corrcoef(deviations[:-1], deviations[1:])[0, 1]) < 0.05


def test_the_same_generator_draws_the_same_samples() -> None:
    first, second = (PLAIN.draw(np.random.default_rng(4), 50) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(PLAIN.draw(np.random.default_rng(4), 1)) == 1


@pytest.mark.parametrize("ingredient", Ingredient)
def test_an_exaggerated_ingredient_adds_noise_of_its_kind(ingredient: Ingredient) -> None:
    calm = replace(PLAIN, burst_start=0.0, outliers=0.0)
    loud = calm.exaggerated(ingredient)
    changed = [name for name in calm.__slots__ if getattr(calm, name) != getattr(loud, name)]
    assert {name.split("_")[0].rstrip("s") for name in changed} == {
        {"drift": "drift", "bursts": "burst", "heavy tail": "outlier"}[ingredient]
    }
    rng = np.random.default_rng(5)
    deviations = [np.std(np.log(model.draw(rng, 4000))) for model in (calm, loud)]
    assert deviations[1] > 1.5 * deviations[0]


def test_all_ingredients_can_be_exaggerated_together() -> None:
    loud = PLAIN.exaggerated(*Ingredient)
    assert loud.drift == 0.004
    assert loud.burst_share == pytest.approx(3 * PLAIN.burst_share)
    assert loud.outliers == pytest.approx(0.1)


def test_too_few_or_impossible_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="100 pairs"):
        NoiseModel.fit([1.0] * 99, [1.0] * 99)
    with pytest.raises(ValueError, match="positive"):
        NoiseModel.fit([0.0] * 200, [1.0] * 200)
    with pytest.raises(ValueError, match="equal numbers"):
        NoiseModel.fit([1.0] * 200, [1.0] * 201)


def test_samples_without_noise_make_a_model_without_noise() -> None:
    model = NoiseModel.fit([2e-3] * 200, [1e-3] * 200)
    assert model.draw(np.random.default_rng(6), 100) == pytest.approx(np.full(100, 2e-3))
