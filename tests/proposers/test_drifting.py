import random
import re

import pytest

from breeder.proposers.constants import template
from breeder.proposers.drifting import Drift, Drifting
from breeder.proposers.tuning import TuningProposer

from .programs import block, draw, elite, grammar, outcome, propose

NAMES = "abcdefghij"
# A weighted sum of ten features that starts with one weight; the best weights have both signs.
SUM = block(
    "def f(x):\n    v = 0.5 * x.a\n" + "".join(f"    v = v + 0.0 * x.{n}\n" for n in NAMES[1:])
)
BEST = [0.7, -0.4, 0.3, 0.0, -0.2, 0.6, 0.0, -0.5, 0.1, 0.2]


def weights(text):
    return [float(number) for number in re.findall(r"(-?[\d.]+(?:e[-+]?\d+)?)\)? \* x", text)]


def fitness(text):
    return -sum((a - b) ** 2 for a, b in zip(weights(text), BEST, strict=True))


def climb(evaluations, seed):
    """Children of the best so far; the share of it that is left to gain."""
    proposer = TuningProposer(grammar("python"))
    best = elite(SUM, fitness=fitness(SUM))
    rng = random.Random(seed)
    drifts = 0
    for number in range(evaluations):
        made = propose(proposer, draw(best, rng=rng))
        drifts += isinstance(made.ticket, Drift)
        reached = fitness(made.files["program"])
        gain = max(0.0, reached - best.fitness)
        proposer.learn(outcome(made, reached, parent=best.fitness, placed=gain > 0))
        if gain > 0:
            best = elite(made.files["program"], name=f"p{number}", fitness=reached)
    return best.fitness / fitness(SUM), drifts


def test_a_weighted_sum_is_climbed_in_two_hundred_evaluations() -> None:
    left = [climb(200, seed)[0] for seed in range(5)]
    assert sorted(left)[2] < 0.15


def test_drifts_are_used_beside_the_other_ways() -> None:
    assert 15 < climb(200, 1)[1] < 150


def test_a_move_says_how_large_it_was_and_leaves_structure_alone() -> None:
    structure = template({"program": SUM}, grammar("python"))
    drift, spellings = Drifting().draw(structure, random.Random(1)) or (None, ())
    assert isinstance(drift, Drift)
    filled = structure.filled(spellings)
    assert template(filled, grammar("python")).key == structure.key
    assert filled["program"] != SUM


def test_steps_grow_where_they_pay_and_shrink_elsewhere() -> None:
    drifting = Drifting()
    first = drifting.sigma
    drifting.learn(paid=True)
    assert drifting.sigma > first
    for _ in range(4):
        drifting.learn(paid=False)
    assert drifting.sigma == pytest.approx(first)
    for _ in range(200):
        drifting.learn(paid=False)
    assert 0 < drifting.sigma < 0.05


def test_a_program_without_constants_has_no_move() -> None:
    structure = template({"program": "x = y\n"}, grammar("python"))
    assert Drifting().draw(structure, random.Random(1)) is None
