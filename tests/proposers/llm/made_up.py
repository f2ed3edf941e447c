"""Made-up tasks, programs and outcomes for the tests of prompts."""

from breeder.core import (
    Direction,
    Elite,
    Evaluation,
    Failure,
    FailureKind,
    Objective,
    Placement,
    Program,
)
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.proposer import Grammar, Outcome, Proposal

START = '''"""Placing."""

LIMIT = 4


# EVOLVE-BLOCK-START
def rate(item, room):
    """How good it is to put the item there.

    A docstring of two paragraphs.
    """
    # closer is better

    left = room - item
    return -left  # the least waste


def spare(node):
    return node.cpu * 2.0


# EVOLVE-BLOCK-END


def place(items):
    return [rate(item, LIMIT) for item in items]
'''

GRAMMAR = Grammar({"place.py": "python"})


def facts(**changes: object) -> TaskFacts:
    known: dict[str, object] = {
        "name": "made/up",
        "goal": "Rate places. The highest rate wins.",
        "files": {"place.py": START},
        "grammar": GRAMMAR,
        "objectives": (Objective("waste", Direction.MINIMIZE), Objective("speed", weight=2.0)),
        "entry_functions": ("place",),
        "rules": ("No network.",),
    }
    return TaskFacts(**{**known, **changes})  # type: ignore[arg-type]


def elite(
    name: str,
    fitness: float = 0.0,
    *,
    text: str | None = None,
    artifacts: dict[str, str] | None = None,
) -> Elite:
    """A program whose id begins with `name` and whose text tells it apart."""
    files = {"place.py": START.replace("-left", f"-left * {name!r}") if text is None else text}
    metrics = {"waste": -fitness, "speed": 0.5, "other": 7.0}
    evaluation = Evaluation(metrics, artifacts=artifacts or {}, construction=b"large")
    return Elite(Program(name, files, size=len(name)), evaluation, fitness)


def outcome(
    note: str,
    fitness: float | None = 1.0,
    *,
    parent: str = "parent",
    kind: FailureKind = FailureKind.EXCEPTION,
    detail: str = "",
    gain: float = 0.0,
) -> Outcome:
    """What became of a child of a parent whose fitness is 2; a failure where `fitness` is None."""
    failure = Failure(kind, detail) if fitness is None else None
    evaluation = Evaluation(failure=failure)
    proposal = Proposal({}, (parent,), note)
    return Outcome(proposal, evaluation, fitness, 2.0, Placement.REJECTED, gain)
