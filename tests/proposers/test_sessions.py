import math
import random
import re

import pytest

from breeder.proposers.sessions import Sessions
from conformance.proposer import ProposerConformance

from .programs import FILES, block, draw, elite, grammar, outcome, propose

CURVE = block(
    "def f(x):\n    a = 0.001\n    b = 300000.0\n    n = 24\n    k = 3\n    z = 0.0\n"
    "    return a * x + b - n * k + z\n"
)


class Tuner:
    """Sessions alone, as a proposer."""

    name = "sessions"

    def __init__(self, grammar):
        self.sessions = Sessions(grammar)
        self.learn, self.state = self.sessions.learn, self.sessions.state
        self.restore = self.sessions.restore

    async def propose(self, draw):
        return self.sessions.propose(draw)


class TestConformance(ProposerConformance):
    count = 30

    def make(self, grammar):
        return Tuner(grammar)


def values(text):
    return {k: float(v) for k, v in re.findall(r"(\w) = \(?([-\d.e+]+)", text)}


def fitness(text):
    """Best at a = 0.004, b = 1e5, n = 31, k = 6, z = 0.7: logarithms for a and b, as they span."""
    v = values(text)
    if v["a"] <= 0 or v["b"] <= 0:
        return None
    return -(
        math.log(v["a"] / 0.004) ** 2
        + math.log(v["b"] / 1e5) ** 2
        + ((v["n"] - 31) / 5) ** 2
        + ((v["k"] - 6) / 2) ** 2
        + (v["z"] - 0.7) ** 2
    )


def tune(text, measure, evaluations, *, seed=0, fail=0.0):
    """Best elite after a number of evaluations, and the notes."""
    proposer = Tuner(grammar("python"))
    best = elite(text, fitness=measure(text))
    rng = random.Random(seed)
    notes = []
    for number in range(evaluations):
        made = propose(proposer, draw(best, rng=rng))
        if made is None:
            continue
        notes.append(made.note)
        new = made.files["program"]
        reached = None if rng.random() < fail else measure(new)
        proposer.learn(outcome(made, reached))
        if reached is not None and reached > best.fitness:
            best = elite(new, name=f"p{number}", fitness=reached)
    return best, notes


@pytest.mark.parametrize("seed", range(3))
def test_constants_of_many_magnitudes_are_optimised_despite_failures(seed):
    best, _ = tune(CURVE, fitness, 400, seed=seed, fail=0.1)
    assert fitness(CURVE) < -6
    assert best.fitness > -0.75


def test_integers_stay_integers_and_signs_are_kept():
    proposer = Tuner(grammar("python"))
    rng = random.Random(4)
    for _ in range(40):
        made = propose(proposer, draw(elite(CURVE), rng=rng))
        found = re.search(r"n = (\S+)\n    k = (\S+)\n", made.files["program"])
        assert found is not None
        assert all(re.fullmatch(r"\(?-?\d+\)?", g) for g in found.groups())
        assert values(made.files["program"])["a"] > 0
        proposer.learn(outcome(made, fitness(made.files["program"])))


def test_one_constant_is_tuned_without_cma():
    text = block("def f(x):\n    a = 8.5\n    return a * x\n")
    best, notes = tune(text, lambda t: -abs(math.log(values(t)["a"] / 2.0)), 60)
    assert best.fitness > -0.05
    assert notes[0].startswith("tune 1 of 1 constants: a 8.5 -> ")


def test_nothing_to_tune_is_none():
    text = block("def f(x):\n    for i in range(3):\n        x = x[i + 1]\n    return x ** 2\n")
    assert propose(Tuner(grammar("python")), draw(elite(text))) is None


def test_a_converged_session_ends_and_waits_for_a_better_parent():
    text = block("def f(x):\n    a = 8.5\n    return a * x\n")
    proposer = Tuner(grammar("python"))
    rng = random.Random(0)
    for _ in range(400):
        made = propose(proposer, draw(elite(text), rng=rng))
        if made is None:
            break
        proposer.learn(outcome(made, -1.0))
    assert made is None
    assert propose(proposer, draw(elite(text), rng=rng)) is None
    assert propose(proposer, draw(elite(text, fitness=1.0), rng=rng)) is not None
    again = Tuner(grammar("python"))
    again.restore(proposer.state())
    assert propose(again, draw(elite(text), rng=rng)) is None
    assert propose(Tuner(grammar("python")), draw(elite(text), rng=rng)) is not None


def test_a_vector_is_handed_out_once_and_known_ones_never():
    proposer = Tuner(grammar("python"))
    text = block("def f(x):\n    a = 3\n    b = 4\n    return a * x + b * b\n")
    seen = [text]
    rng = random.Random(1)
    for _ in range(60):
        made = propose(proposer, draw(elite(text), rng=rng))
        if made is None:
            break
        seen.append(made.files["program"])
        proposer.learn(outcome(made, -len(seen) * 1.0))
    assert len(seen) > 20
    assert len(set(seen)) == len(seen)


def test_many_constants_are_tuned_in_a_subset():
    numbers = ", ".join(f"{i}.5" for i in range(120))
    text = block(f"WEIGHTS = [{numbers}]\n")
    made = propose(Tuner(grammar("python")), draw(elite(text)))
    assert re.match(r"tune (3\d|40) of 120 constants", made.note)


def test_running_sessions_are_bounded_and_shared_between_structures():
    proposer = Tuner(grammar("python"))
    rng = random.Random(0)
    bases = set()
    for number in range(120):
        text = block(f"def f{number}(x):\n    a = 2.5\n    b = 7.5\n    return a * x + b\n")
        made = propose(proposer, draw(elite(text, name=f"e{number}"), rng=rng))
        if made is not None:
            bases.add(made.parents)
            proposer.learn(outcome(made, -1.0))
    assert 2 < len(bases) < 60


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_other_languages(language):
    made = propose(Tuner(grammar(language)), draw(elite(FILES[language])))
    assert made is not None
    assert made.files["program"] != FILES[language]
