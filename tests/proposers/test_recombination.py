import random

import pytest

from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.recombination import RecombinationProposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.regions import frozen_text
from conformance.proposer import ProposerConformance

from .programs import FILES, block, draw, elite, grammar, population, propose


class TestConformance(ProposerConformance):
    def make(self, grammar):
        return RecombinationProposer(grammar)


def offers(parent, other, count=120):
    proposer = RecombinationProposer(grammar("python"))
    rng = random.Random(0)
    made = [
        propose(proposer, draw(elite(parent), elite(other, name="o"), rng=rng))
        for _ in range(count)
    ]
    return [m for m in made if m is not None]


@pytest.mark.parametrize("language", FILES)
def test_every_graft_parses_and_keeps_the_frozen_text(language):
    rules = grammar(language)
    elites = population(SyntaxProposer(rules), language, 30)
    fixed = frozen_text(FILES[language], rules.regions(FILES[language]))
    proposer = RecombinationProposer(rules)
    rng = random.Random(3)
    made = []
    for _ in range(300):
        parent, *others = rng.sample(elites, 4)
        proposal = propose(proposer, draw(parent, *others, rng=rng))
        if proposal is not None:
            made.append(proposal)
            text = proposal.files["program"]
            assert fingerprint(proposal.files, rules).parses
            assert frozen_text(text, rules.regions(text)) == fixed
            assert len(proposal.parents) == 2
    assert len(made) > 250


def test_without_an_inspiration_that_differs_nothing_is_offered():
    proposer = RecombinationProposer(grammar("python"))
    one = elite(FILES["python"])
    assert propose(proposer, draw(one)) is None
    assert propose(proposer, draw(one, elite(FILES["python"], name="twin"))) is None


def test_programs_of_one_structure_blend_their_constants():
    left = block("def f(x):\n    a = 2.0\n    b = 10\n    return a * x + b\n")
    right = left.replace("2.0", "4.0").replace("10", "30")
    made = offers(left, right)
    assert {m.note for m in made} == {"blend 2 constants of two programs"}
    between = [float(m.files["program"].split("a = ")[1].split("\n")[0]) for m in made]
    assert min(between) < 2.0 < max(between)
    assert all(1.5 < v < 5 for v in between)


def test_a_function_body_is_grafted_whole_under_its_own_indentation():
    left = block("def f(x, y):\n    return x\n\n\ndef g(x):\n    return f(x, 1.5)\n")
    right = block(
        "def f(x, y):\n  if x > y:\n    return y\n  return x * y\n\n\ndef g(x):\n  return 0\n"
    )
    bodies = [m for m in offers(left, right) if m.note.startswith("graft body in f()")]
    assert bodies
    assert "    if x > y:\n" in bodies[0].files["program"]


def test_names_that_are_not_in_scope_are_renamed_or_the_graft_is_dropped():
    left = block("def f(x):\n    y = x * 2.5\n    return y + x\n")
    right = block("def f(u):\n    w = u - 3.5\n    return special(w) + w * w\n")
    for m in offers(left, right, 300):
        if m.note.startswith(("graft expression", "graft condition")):
            text = m.files["program"]
            assert "special" not in text
            assert "w" not in text.replace("EVOLVE", "").split("def f(x)")[1]
