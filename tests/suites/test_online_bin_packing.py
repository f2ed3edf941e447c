"""The bin packing task: loop, replay, baselines and stages against known values."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

import breeder.suites
from breeder.errors import UserError
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.evaluation.loading import load_evaluator
from breeder.task import load_native
from suites.direct import DirectCandidate

FOLDER = Path(breeder.suites.__file__).parent / "systems" / "online_bin_packing"
evaluate = load_evaluator(FOLDER, "evaluate.py")
instances = importlib.import_module("bin_packing_instances")
loop = importlib.import_module("bin_packing_loop")

needs_real_instances = pytest.mark.skipif(
    not os.environ.get("BREEDER_BINPACKING"),
    reason="BREEDER_BINPACKING does not point at funsearch_or3_weibull5k.json",
)


def published_or_priority(item, bins):
    """The heuristic that FunSearch found for the OR instances (Romera-Paredes et al. 2024)."""
    left = bins - item
    steps = [2, 3, 5, 7, 9, 12, 15, 18, 20, 21]
    scores = np.array([4, 3, 2, 1, 0.9, 0.95, 0.97, 0.98, 0.98, 0.98, 0.99])
    return scores[np.searchsorted(steps, left)]


@pytest.fixture
def candidate():
    return DirectCandidate(FOLDER)


def slow_loop(items, capacity, priority):
    """One priority per bin, straight from the definition."""
    room, chosen = [capacity], []
    for item in items.tolist():
        fits = [index for index, left in enumerate(room) if left >= item]
        scores = priority(float(item), np.array([float(room[index]) for index in fits]))
        index = fits[int(np.argmax(scores))]
        room[index] -= item
        chosen.append(index)
        if index == len(room) - 1:
            room.append(capacity)
    return np.array(chosen)


@pytest.mark.parametrize(
    "priority",
    [
        lambda item, bins: -(bins - item),
        lambda item, bins: bins - item,
        lambda item, bins: np.zeros_like(bins),
        lambda item, bins: (bins - item) % 7,
        published_or_priority,
    ],
    ids=["best-fit", "worst-fit", "ties", "many-ties", "published"],
)
@pytest.mark.parametrize("family", ["or3", "weibull"])
def test_loop_equals_one_priority_per_bin(priority, family):
    items, capacity = instances.draw(5, (1, 300), (1, 300))[family][0]
    assert np.array_equal(
        loop.place_all(items, capacity, priority), slow_loop(items, capacity, priority)
    )


def test_constant_priority_is_first_fit():
    one = instances.draw(6, (1, 400), (1, 400))["or3"][0]
    chosen = loop.place_all(*one, lambda item, bins: np.ones_like(bins))
    assert instances.replay(one, chosen) == instances.heuristic_bins(one, "first_fit")


def test_nan_is_the_lowest_priority():
    one = instances.draw(6, (1, 200), (1, 200))["or3"][0]
    full_only = loop.place_all(*one, lambda i, bins: np.where(bins == bins[-1], 1.0, np.nan))
    assert full_only.tolist() == list(range(200))


def test_priority_may_spoil_its_argument():
    def priority(item, bins):
        bins -= item
        return -bins

    one = instances.draw(7, (1, 200), (1, 200))["or3"][0]
    expected = loop.place_all(*one, lambda item, bins: -(bins - item))
    assert np.array_equal(loop.place_all(*one, priority), expected)


@pytest.mark.parametrize(
    "answer", [1.0, None, np.zeros((2, 2)), np.array(["a"]), np.array([1j]), np.zeros(0)]
)
def test_priorities_of_the_wrong_kind_are_refused(answer):
    with pytest.raises(ValueError, match="real numbers"):
        loop.place_all(np.array([20, 30]), 150, lambda item, bins: answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([0, 0, 1], "3 integers"),  # a list is not an array
        (np.array([0.0, 0.0, 1.0]), "3 integers"),
        (np.array([0, 0]), "3 integers"),
        (np.array([True, False, True]), "3 integers"),
        (np.array([0, 2, 1]), "item 1 goes to bin 2"),
        (np.array([0, -1, 1]), "item 1 goes to bin -1"),
        (np.array([0, 0, 0]), "item 1 overflows bin 0"),
        (np.array([0, 1, 1]), "item 2 overflows bin 1"),
        (None, "3 integers"),
    ],
)
def test_replay_refuses(answer, words):
    one = instances.Instance(np.array([60, 50, 70]), 100)
    with pytest.raises(InvalidAnswerError, match=words):
        instances.replay(one, answer)


def test_replay_counts_bins():
    one = instances.Instance(np.array([60, 50, 40, 50]), 100)
    assert instances.replay(one, np.array([0, 1, 0, 1])) == 2
    assert instances.lower_bound(one) == 2
    assert instances.excess([one], [3]) == pytest.approx(50.0)


def test_instances_follow_their_description():
    families = instances.draw(11, (3, 500), (1, 5000))
    for items, capacity in families["or3"]:
        assert capacity == 150
        assert items.min() >= 20
        assert items.max() <= 100
    items, capacity = families["weibull"][0]
    assert capacity == 100
    assert items.min() >= 1
    assert items.max() <= 100
    mean = 45.0 * 0.892980  # Gamma(1 + 1/3), before the cap, which takes off less than 0.01
    assert items.mean() == pytest.approx(mean, abs=4 * 14.6 / np.sqrt(5000))


def test_splits_are_disjoint_and_repeatable():
    sets = [evaluate.quick_instances, evaluate.train_instances, evaluate.held_out_instances]
    seen = [
        {one.items.tobytes() for family in draw().values() for one in family} for draw in sets * 2
    ]
    assert seen[:3] == seen[3:]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]


def test_the_start_is_best_fit_in_every_stage(candidate, monkeypatch):
    monkeypatch.delenv("BREEDER_BINPACKING", raising=False)
    quick = evaluate.evaluate_quick(candidate)
    assert set(quick) == {"quick_excess", "quick_excess_or3", "quick_excess_weibull"}
    result = evaluate.evaluate(candidate)
    assert result.metrics == evaluate.baselines("search")["best_fit"]
    held_out = evaluate.evaluate_held_out(candidate)
    assert held_out == evaluate.baselines("held_out")["best_fit"]


def test_task_names_metrics_that_exist(candidate):
    task = load_native(FOLDER)
    metrics = evaluate.evaluate_quick(candidate) | evaluate.evaluate(candidate).metrics
    assert {o.name for o in task.objectives} <= set(metrics)
    stage = task.file.stage[0]
    assert metrics[stage.metric] <= stage.at_most
    assert {feature.name for feature in task.file.feature} <= {"size", *metrics}


class Clairvoyant:
    """Stands in for a program that reads the items to come: best fit over sorted items."""

    seed = 0

    def call(self, function, items, capacity):
        order = np.argsort(-items, kind="stable")
        placed = np.empty(len(items), dtype=np.int64)
        placed[order] = loop.place_all(items[order], capacity, lambda item, bins: item - bins)
        names = {}  # number the bins as they are opened, as the rules ask
        return np.array([names.setdefault(index, len(names)) for index in placed.tolist()])

    def restart(self):
        pass


def test_a_program_that_knows_the_future_is_refused():
    families = instances.draw(8, (1, 300), (1, 300))
    answers = evaluate.ask(Clairvoyant(), families)
    assert evaluate.measure(families, answers)["excess"] < 3.0  # its packing itself is valid
    with pytest.raises(InvalidAnswerError, match="not online"):
        evaluate.check_online(Clairvoyant(), families, answers, {"or3": 1, "weibull": 1})


def test_unreadable_real_instances_are_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("BREEDER_BINPACKING", str(tmp_path))
    with pytest.raises(UserError, match="BREEDER_BINPACKING") as failure:
        instances.real_instances()
    assert "\n" not in str(failure.value)
    (tmp_path / instances.REAL_FILE).write_text('{"OR3": 3}')
    with pytest.raises(UserError, match="cannot be read"):
        instances.real_instances()


@needs_real_instances
def test_published_heuristics_come_out_at_their_published_values(candidate):
    metrics = evaluate.baselines("held_out")
    for rule, or3, weibull in (("first_fit", 5.74, 4.23), ("best_fit", 5.37, 3.98)):
        assert metrics[rule]["published_excess_or3"] == pytest.approx(or3, abs=0.005)
        assert metrics[rule]["published_excess_weibull"] == pytest.approx(weibull, abs=0.005)
    candidate.module.priority = published_or_priority
    real = instances.real_instances()
    found = evaluate.measure(real, evaluate.ask(candidate, real))
    assert found["excess_or3"] == pytest.approx(3.11, abs=0.005)
    assert found["excess_weibull"] == pytest.approx(3.03, abs=0.005)
