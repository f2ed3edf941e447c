import itertools
import math
import random
import re
from dataclasses import replace

import pytest

from breeder.proposers.constants import template
from breeder.proposers.stepping import Step, Stepping
from breeder.proposers.tuning import TuningProposer
from conformance.proposer import ProposerConformance

from .programs import block, draw, elite, grammar, outcome, propose

# One of eight constants is wrong by a factor of 60, another by 8; the others hardly matter.
FAR = block(
    "def f(x):\n"
    + "".join(f"    c{i} = 2.0\n" for i in range(6))
    + "    steps = 3\n    stiff = 20.0\n    return x\n"
)


class TestConformance(ProposerConformance):
    count = 30

    def make(self, grammar):
        return TuningProposer(grammar)


def values(text):
    return {k: float(v) for k, v in re.findall(r"(\w+) = \(?([-\d.e+]+)", text)}


def fitness(text):
    v = values(text)
    if v["steps"] <= 0 or v["stiff"] <= 0:
        return None
    rest = sum((v[f"c{i}"] - 2.0) ** 2 for i in range(6))
    return -(math.log(v["steps"] / 180) ** 2) - math.log(v["stiff"] / 160) ** 2 - 0.1 * rest


def tune(evaluations, seed):
    proposer = TuningProposer(grammar("python"))
    best = elite(FAR, fitness=fitness(FAR))
    rng = random.Random(seed)
    tickets = []
    for number in range(evaluations):
        made = propose(proposer, draw(best, rng=rng))
        tickets.append(made.ticket)
        reached = fitness(made.files["program"])
        proposer.learn(outcome(made, reached, parent=best.fitness))
        if reached is not None and reached > best.fitness:
            best = elite(made.files["program"], name=f"p{number}", fitness=reached)
    return best, tickets


@pytest.mark.parametrize("seed", range(4))
def test_constants_that_are_far_off_are_found_in_a_few_dozen_evaluations(seed):
    best, _ = tune(80, seed)
    assert fitness(FAR) < -19
    assert best.fitness > -1.5


def test_both_ways_are_used():
    _, tickets = tune(80, 0)
    steps = sum(isinstance(ticket, Step) for ticket in tickets)
    assert 8 < steps < 72


def test_a_step_moves_one_constant_and_says_so():
    proposer = TuningProposer(grammar("python"))
    rng = random.Random(2)
    notes = set()
    for _ in range(40):
        made = propose(proposer, draw(elite(FAR), rng=rng))
        if isinstance(made.ticket, Step):
            before, after = values(FAR), values(made.files["program"])
            assert sum(before[k] != after[k] for k in before) == 1
            assert after["steps"] == int(after["steps"])
            notes.add(made.note.split(":")[0])
        proposer.learn(outcome(made, -100.0))
    assert notes == {"tune 1 of 8 constants"}


@pytest.mark.parametrize("language", ["python", "cpp"])
def test_whole_powers_of_two_are_doubled_and_halved_first(language):
    text = block("lanes = 16\nother = 3.5\n")
    if language == "cpp":
        text = block("const int lanes = 16;\nconst float other = 3.5f;\n").replace("#", "//")
    structure = template({"program": text}, grammar(language))
    first, later = set(), set()
    for seed in range(300):
        stepping, rng = Stepping(), random.Random(seed)
        for moves in (first, later):
            step, spelled = stepping.draw(structure, rng)
            if step.constant[0] == "lanes":
                moves.add((step.up, spelled[0]))
            for name, up in itertools.product(("lanes", "other"), (True, False)):
                stepping.learn(Step((name, 0), up), paid=True)
    assert first == {(True, b"32"), (False, b"8")}
    assert {(True, b"64"), (True, b"128"), (False, b"4"), (False, b"2")} < later
    assert any(int(number) & (int(number) - 1) for _, number in later)


def test_a_width_of_one_only_grows():
    text = block("const int lanes = 1;\n").replace("#", "//")
    structure = template({"program": text}, grammar("cpp"))
    stepping = Stepping()
    assert stepping.untried(structure)
    drawn = [stepping.draw(structure, random.Random(seed)) for seed in range(20)]
    assert {(step.up, spelled) for step, spelled in drawn} == {(True, (b"2",))}
    stepping.learn(drawn[0][0], paid=False)
    assert not stepping.untried(structure)


def test_nothing_to_tune_is_none():
    text = block("def f(x):\n    for i in range(3):\n        x = x[i + 1]\n    return x ** 2\n")
    assert propose(TuningProposer(grammar("python")), draw(elite(text))) is None


def test_an_invited_structure_is_tuned_although_a_better_parent_is_drawn() -> None:
    proposer = TuningProposer(grammar("python"))
    best = elite(block("def f(x):\n    return x * 2.5\n"), fitness=9.0)
    guest = elite(block("def f(x):\n    return x / 4.5 + 1.5\n"), fitness=1.0)
    guest = replace(guest, program=replace(guest.program, id="guest"))
    proposer.invite(guest)
    made = [propose(proposer, draw(best, rng=random.Random(seed))) for seed in range(30)]
    first = next(one for one in made if one is not None)
    assert first.parents == ("guest",)
    assert "x /" in first.files["program"]
    assert sum(one is not None and one.parents == ("guest",) for one in made) > 3


def test_an_invited_program_without_constants_changes_nothing() -> None:
    best = elite(block("def f(x):\n    return x * 2.5\n"), fitness=9.0)
    guest = elite(block("def f(x):\n    return x\n"), fitness=1.0)
    plain, invited = TuningProposer(grammar("python")), TuningProposer(grammar("python"))
    invited.invite(guest)
    assert propose(invited, draw(best)) is not None
    assert invited.state() == plain.state()
