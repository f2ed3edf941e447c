from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.evaluation.scripted_sandbox import ScriptedSandbox

from breeder.core import Limits
from breeder.evaluation.beside import MAX_SANDBOXES, Beside, Neighbours
from breeder.evaluation.bubblewrap import BubblewrapSandbox
from breeder.evaluation.live_candidate import LiveCandidate
from breeder.evaluation.process import Evaluator
from breeder.evaluation.protocol import Evaluate, Plan, ProgramPlan, Stage
from breeder.evaluation.sandbox import CandidateFailedError, Sandbox
from conformance.sandbox_isolation import descendants

PROGRAM = ProgramPlan(main="a.py", mode="python", support={}, functions={})
LIMITS = Limits(cpu_seconds=10.0, wall_seconds=100.0)


class Opened:
    """Opens scripted sandboxes, and remembers them."""

    def __init__(self) -> None:
        self.sandboxes: dict[int, ScriptedSandbox] = {}

    def open(self, number: int) -> Sandbox:
        assert number not in self.sandboxes
        self.sandboxes[number] = ScriptedSandbox({"f": lambda: 1}, cost=2.0)
        return self.sandboxes[number]

    def make(self, sandbox: Sandbox, request: Evaluate, neighbours: Beside | None) -> LiveCandidate:
        return LiveCandidate(sandbox, PROGRAM, LIMITS, request, {}, neighbours)

    def neighbours(self) -> Neighbours:
        return Neighbours(self.make, self.open)


def test_equal_files_are_the_same_running_program_with_a_new_budget() -> None:
    opened = Opened()
    neighbours = opened.neighbours()
    first = neighbours.beside({"a.py": "x"}, 3.0, 50.0)
    first.call("f")
    again = neighbours.beside({"a.py": "x"}, 3.0, 50.0)
    again.call("f")
    assert again is first
    assert [cpu for _, cpu, _ in opened.sandboxes[0].programs[0].calls] == [3.0, 3.0]
    assert neighbours.cpu_seconds == 4.0


def test_a_program_that_failed_is_started_anew() -> None:
    opened = Opened()
    neighbours = opened.neighbours()
    program = neighbours.beside({"a.py": "x"}, 3.0, 50.0)
    with pytest.raises(CandidateFailedError):
        program.call("missing")
    neighbours.beside({"a.py": "x"}, 3.0, 50.0).call("f")
    assert len(opened.sandboxes[0].programs) == 2


def test_the_one_that_nobody_asked_for_longest_gives_up_its_sandbox() -> None:
    opened = Opened()
    neighbours = opened.neighbours()
    for number in range(MAX_SANDBOXES):
        neighbours.beside({"a.py": str(number)}, 3.0, 50.0).call("f")
    kept = neighbours.beside({"a.py": "0"}, 3.0, 50.0)
    neighbours.beside({"a.py": "new"}, 3.0, 50.0).call("f")
    assert sorted(opened.sandboxes) == list(range(MAX_SANDBOXES))
    assert [len(one.programs) for one in opened.sandboxes.values()] == [1, 2, 1, 1]
    assert opened.sandboxes[1].programs[0].closed == 1
    assert neighbours.beside({"a.py": "0"}, 3.0, 50.0) is kept
    assert neighbours.cpu_seconds == 2.0 * (MAX_SANDBOXES + 1)


def test_closing_ends_programs_and_sandboxes() -> None:
    opened = Opened()
    neighbours = opened.neighbours()
    neighbours.beside({"a.py": "x"}, 3.0, 50.0).call("f")
    neighbours.close()
    neighbours.close()
    assert opened.sandboxes[0].programs[0].closed == 1
    assert opened.sandboxes[0].closed


EVALUATE = """
SLOW = "import time\\ndef f(s):\\n    end = time.process_time() + s\\n"
SLOW += "    while time.process_time() < end: pass\\n    return s\\n"

def evaluate(candidate):
    baseline = candidate.beside({"a.py": SLOW})
    ours, theirs = candidate.prepare("f", [[1]]), baseline.prepare("f", [[0.3]])
    own = candidate.cpu_seconds
    used = theirs.run().cpu_seconds
    assert candidate.cpu_seconds - own < 0.1
    faster = used > 10 * ours.run().cpu_seconds
    seen = candidate.call("look"), baseline.call("f", 0.0)
    return {"score": used, "faster": float(faster), "answer": ours.output(0) + theirs.output(0)}
"""
QUICK = "def f(x): return x\ndef look(): return 1\n"


@pytest.fixture
def _own_interpreter_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Loading an evaluator changes the interpreter for good, as it may in a process of its own.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    yield
    sys.modules.pop("evaluate", None)


@pytest.mark.usefixtures("_own_interpreter_state")
def test_an_evaluator_measures_two_programs_next_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "evaluate.py").write_text(EVALUATE)
    plan = Plan(
        folder=str(tmp_path), evaluator="evaluate.py", kind="breeder", program=PROGRAM,
        stages=(Stage("full", "evaluate", 5.0, 50.0),), held_out=None, constraints=(),
        objectives=("score",), limits=Limits(),
    )  # fmt: skip
    before = descendants()
    request = Evaluate({"a.py": QUICK}, "search", None, 1, initial=True)
    with (
        closing(BubblewrapSandbox(slot=20)) as sandbox,
        closing(Evaluator(plan, sandbox, lambda n: BubblewrapSandbox(slot=21 + n))) as evaluator,
    ):
        for _ in range(2):
            found = evaluator.evaluate(request)
            assert found.failure is None
            assert found.metrics["faster"] == 1.0
            assert found.metrics["answer"] == 1.3
            assert 0.3 <= found.metrics["score"] <= found.cost.cpu_seconds
    assert descendants() <= before
