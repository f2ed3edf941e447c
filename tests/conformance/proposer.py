"""What every proposer must do. Subclass `ProposerConformance` and give `make`."""

import asyncio
import random
from collections.abc import Mapping

import pytest

from breeder.core import Elite, Evaluation, Failure, FailureKind, Placement, Program
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal, Proposer
from breeder.regions import frozen_text

START, END = "# EVOLVE-BLOCK-START\n", "# EVOLVE-BLOCK-END\n"
HEAD, TAIL = "import math\n\n", "\n\ndef frozen(x):\n    return x + 1\n"
BODY = """def score(a, b):
    total = 0.5 * a + 3 * b
    if total > 2.5 and a < b:
        total = max(total, a * b)
    for i in range(4):
        total += i * 0.25
    return total
"""
OTHER = """def score(a, b):
    total = 0.75 * a - 2 * b
    if a >= b:
        total = abs(total) + 7.5
    return total
"""
MAIN, SECOND = "main.py", "second.py"
FILES = {MAIN: HEAD + START + BODY + END + TAIL, SECOND: START + "RATE = 0.125\n" + END}
OTHERS = {MAIN: HEAD + START + OTHER + END + TAIL, SECOND: START + "RATE = 0.5\n" + END}
PYTHON = Grammar({MAIN: "python", SECOND: "python"})

STRANGE = {
    "empty region": START + END,
    "empty text": "",
    "blank region": START + "\n\n   \n" + END,
    "unparsable": START + "def f(:\n  return ((3\n" + END,
    "unclosed marker": START + "x = 1\n",
    "comment only": START + "# nothing here\n" + END,
    "unicode": START + "größe = '日本語 🚀'\nπ = 3.25 * 2\n" + END,
    "surrogate": START + "name = '\udc80'\nvalue = 3.5\n" + END,
    "line ends": (HEAD + START + BODY + END + TAIL).replace("\n", "\r\n"),
    "odd line ends": START + "x = 1.5\x0cy = 2.5\x0b\n\x85z = 3\n" + END,
    "nul": START + "x = 1.5\0\n" + END,
    "no newline at the end": START + "x = 1.5\n" + END.rstrip(),
    "tabs": START + "def f(x):\n\tif x > 1:\n\t\treturn x * 2.5\n\treturn 0\n" + END,
    "deep": START + "x = " + "(" * 3000 + "1.5" + ")" * 3000 + "\n" + END,
    "long sum": START + "x = " + " + ".join(["1.5"] * 3000) + "\n" + END,
    "one megabyte": START + "x = 1.5  # filler\n" * 60_000 + END,
}


def elite(files: Mapping[str, str], name: str = "start", fitness: float = 1.0) -> Elite:
    """An evaluated program."""
    return Elite(Program(name, dict(files)), Evaluation(metrics={"score": fitness}), fitness)


def offer(proposer: Proposer, draw: Draw) -> Proposal | None:
    """One proposal."""
    return asyncio.run(proposer.propose(draw))


def series(
    proposer: Proposer, count: int, *, grammar: Grammar = PYTHON, seed: int = 0
) -> list[Proposal | None]:
    """Proposals from one parent and one inspiration, each answered by a made-up outcome."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        draw = Draw(elite(FILES), (elite(OTHERS, "other", 0.5),), rng, 1.0)
        proposal = offer(proposer, draw)
        made.append(proposal)
        if proposal is not None:
            proposer.learn(outcome(proposal, 1.0 - number % 7))
    return made


def outcome(proposal: Proposal, fitness: float | None, gain: float = 0.0) -> Outcome:
    """A successful outcome, or a failed one when there is no fitness."""
    failure = None if fitness is not None else Failure(FailureKind.EXCEPTION, "ZeroDivisionError")
    placement = Placement.NEW if gain else Placement.REJECTED
    return Outcome(proposal, Evaluation(failure=failure), fitness, 1.0, placement, gain)


def frozen(text: str) -> tuple[str, ...]:
    """The text outside the evolvable regions."""
    return frozen_text(text, PYTHON.regions(text))


class ProposerConformance:
    """Shared checks. `count` proposals are drawn where a property must hold for all."""

    count = 60

    def make(self, grammar: Grammar) -> Proposer:
        """A fresh proposer."""
        raise NotImplementedError

    def test_something_is_proposed(self):
        made = series(self.make(PYTHON), self.count)
        assert any(p is not None for p in made)

    def test_every_evolved_file_is_returned(self):
        for proposal in series(self.make(PYTHON), self.count):
            assert proposal is None or set(proposal.files) == set(FILES)

    def test_frozen_text_is_untouched(self):
        for proposal in series(self.make(PYTHON), self.count):
            for name, text in proposal.files.items() if proposal else ():
                assert frozen(text) == frozen(FILES[name])

    def test_a_proposal_differs_from_its_parent(self):
        for proposal in series(self.make(PYTHON), self.count):
            assert proposal is None or dict(proposal.files) != FILES

    def test_the_main_parent_comes_first_and_the_note_is_one_line(self):
        for proposal in series(self.make(PYTHON), self.count):
            if proposal is not None:
                assert proposal.parents[0] == "start"
                assert set(proposal.parents) <= {"start", "other"}
                assert proposal.note
                assert "\n" not in proposal.note

    def test_equal_random_streams_give_equal_proposals(self):
        first = series(self.make(PYTHON), self.count, seed=3)
        random.seed(99)
        second = series(self.make(PYTHON), self.count, seed=3)
        assert [p and (p.files, p.note) for p in first] == [p and (p.files, p.note) for p in second]

    def test_the_global_random_generators_are_left_alone(self):
        import numpy as np

        random.seed(5)
        np.random.seed(5)
        before = random.getstate(), np.random.get_state()[1].tolist()
        series(self.make(PYTHON), 10)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before

    @pytest.mark.parametrize("kind", STRANGE)
    @pytest.mark.parametrize("language", ["python", "c", "klingon"])
    def test_a_strange_parent_is_tolerated(self, kind, language):
        text = STRANGE[kind]
        grammar = Grammar({MAIN: language})
        proposer = self.make(grammar)
        for seed in range(1 if kind == "one megabyte" else 4):
            strange, plain = elite({MAIN: text}), elite({MAIN: FILES[MAIN]}, "plain")
            for parent, other in ((strange, plain), (plain, strange)):
                proposal = offer(proposer, Draw(parent, (other, parent), random.Random(seed), 1.0))
                if proposal is not None:
                    assert set(proposal.files) == {MAIN}
                    proposer.learn(outcome(proposal, None))

    def test_a_parent_without_inspirations_is_tolerated(self):
        proposal = offer(self.make(PYTHON), Draw(elite(FILES), (), random.Random(0), 1.0))
        assert proposal is None or set(proposal.files) == set(FILES)

    def test_an_unknown_file_type_is_tolerated(self):
        proposer = self.make(Grammar({}))
        made = series(proposer, 5)
        assert all(p is None or set(p.files) == set(FILES) for p in made)

    def test_every_outcome_is_tolerated(self):
        proposer = self.make(PYTHON)
        rng = random.Random(1)
        endings = [(None, 0.0), (1e300, 5.0), (-1e300, 0.0), (0.0, 0.0), (2.0, 1.0)]
        for number in range(40):
            draw = Draw(elite(FILES), (elite(OTHERS, "other"),), rng, 1.0, stagnation=number * 50)
            proposal = offer(proposer, draw)
            if proposal is None:
                continue
            fitness, gain = endings[number % len(endings)]
            proposer.learn(outcome(proposal, fitness, gain))
            proposer.learn(Outcome(proposal, None, None, 1.0, Placement.REJECTED))

    def test_outcomes_of_an_earlier_process_are_tolerated(self):
        proposer = self.make(PYTHON)
        for ticket in (None, "ticket", 7, ("a", "b"), object()):
            proposal = Proposal(FILES, ("start",), "note", ticket=ticket)
            proposer.learn(outcome(proposal, 1.0))

    def test_outcomes_that_never_come_do_not_block_for_ever(self):
        proposer = self.make(PYTHON)
        rng = random.Random(2)
        late = []
        for number in range(300):
            draw = Draw(elite(FILES), (elite(OTHERS, "other"),), rng, 1.0)
            proposal = offer(proposer, draw)
            if number >= 200:
                late.append(proposal)
        assert any(p is not None for p in late)

    def test_state_survives_a_round_trip(self):
        proposer = self.make(PYTHON)
        series(proposer, self.count)
        state = proposer.state()
        assert isinstance(state, bytes)
        again = self.make(PYTHON)
        again.restore(state)
        assert again.state() == state
        assert any(p is not None for p in series(again, self.count, seed=8))

    @pytest.mark.parametrize("state", [b"", b"\x00", b"\xff" * 20, b"\x80", b"{}", b"\x93\x01\x02"])
    def test_a_damaged_state_is_tolerated(self, state):
        proposer = self.make(PYTHON)
        proposer.restore(state)
        assert any(p is not None for p in series(proposer, 20))

    def test_it_has_a_name(self):
        name = self.make(PYTHON).name
        assert name.isidentifier()
        assert name == name.lower()
