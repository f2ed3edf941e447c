"""Runs of the engine with a model that answers nonsense, always or now and then."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from breeder.admission import Admission
from breeder.archive.islands import IslandArchive
from breeder.archive.selection import SelectionConfig
from breeder.archive.store import RunRecord, Store
from breeder.core import Budget, Cost, Evaluation, Failure, FailureKind
from breeder.engine import Engine
from breeder.executors.executor import Job, Split
from breeder.ledger import Ledger, SystemClock
from breeder.progress import Parts, Settings
from breeder.proposers.llm.editing import AnswerEditing
from breeder.proposers.llm.ensemble import Ensemble, Seat
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.member import MemberSettings
from breeder.proposers.llm.proposer import Manner
from breeder.proposers.llm.retry import Timing
from breeder.proposers.llm.scripted_model import Asked, Line, ScriptedModel
from breeder.proposers.llm.task_briefing import TaskBriefing
from breeder.proposers.llm.team import Team
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Grammar, Proposer
from breeder.proposers.scripted import ScriptedProposer
from breeder.task import Task, load_native
from tests.malformed.answers import line

FILE = "initial.py"
TEXT = "# EVOLVE-BLOCK-START\ndef f():\n    return {}\n# EVOLVE-BLOCK-END\n"
GRAMMAR = Grammar({FILE: "python"})
MODEL = "model:m"


def toy(folder: Path) -> Task:
    """A task: the number that a function returns is its score."""
    folder.mkdir()
    (folder / "task.toml").write_text(
        '[task]\nname = "toy"\ngoal = "Return a large number."\n[program]\nfiles = ["initial.py"]\n'
        '[[objective]]\nname = "score"\ndirection = "maximize"\n'
    )
    (folder / FILE).write_text(TEXT.format(0))
    (folder / "evaluate.py").write_text(
        "def evaluate(candidate):\n    return {'score': candidate.call('f')}\n"
    )
    return load_native(folder)


class ReadingExecutor:
    """Scores the number in the text; runs nothing."""

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots

    async def start(self) -> None: ...

    async def evaluate(self, job: Job) -> Evaluation:
        found = re.search(r"return (-?\d+)\n", job.program.files[FILE])
        cost = Cost(cpu_seconds=0.5)
        if found is None:
            failure = Failure(FailureKind.SYNTAX, "no number")
            return Evaluation(failure=failure, cost=cost, stages_run=1)
        return Evaluation({"score": float(found[1])}, cost=cost, stages_run=1, seed=job.seed)

    async def baselines(self, split: Split) -> Mapping[str, Mapping[str, float]]:
        return {}

    async def close(self) -> None: ...


async def no_pause(seconds: float) -> None:
    """Sleep for a `Timing` that needs none."""


def team_of(task: Task, *seats: Seat, budget: Budget, manner: Manner) -> Team:
    """A team that never pauses."""
    facts = TaskFacts.of(task, evaluator="candidate.call('f')")
    ensemble = Ensemble(seats, budget, timing=Timing(now=lambda: 0.0, sleep=no_pause))
    return Team(ensemble, TaskBriefing(facts), AnswerEditing(facts), lambda name, role: manner)


def engine_of(
    task: Task, folder: Path, team: Team, *others: Proposer, budget: Budget, slots: int = 1
) -> Engine:
    """An engine on the toy task."""
    record = RunRecord("0", "toy", "breeder", "", "", "{}", "{}", "none", True, "{}", "2026-01-01")
    parts = Parts(
        task,
        IslandArchive(task.objectives, (), selection=SelectionConfig(islands=2)),
        Mixture([*others, *team.proposers]),
        Admission(task.files, GRAMMAR, source_kib=64),
        ReadingExecutor(slots),
        Store.create(folder, record),
        Ledger(budget, SystemClock()),
        team,
    )
    return Engine(parts, Settings(seed=1))


def counting() -> ScriptedProposer:
    """A model-free proposer that never runs out: negative numbers, none of which is good."""
    return ScriptedProposer(lambda n: {FILE: TEXT.format(-n - 1)})


def good(number: int) -> str:
    """An answer that can be used."""
    return f"A larger number scores better.\n```python\ndef f():\n    return {number}\n```\n"


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        reason: why it ended.
        evaluations: made in all, that of the start included.
        by_model: of the model's programs.
        wasted: of those, the ones that came of no good answer.
        refused: reason -> answers that were refused.
        lost: kind -> requests that gave nothing.
        sent: what the script sent for the first try of each request, kind -> count.
        tokens: that were charged.
    """

    reason: str
    evaluations: int
    by_model: int
    wasted: int
    refused: dict[str, int]
    lost: dict[str, int]
    sent: Counter[str]
    tokens: int


@dataclass
class Script:
    """Sends malformed answers of these kinds at a rate, else good ones; never twice the same."""

    kinds: tuple[str, ...]
    rate: float
    rng: random.Random = field(default_factory=lambda: random.Random(5))
    sent: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def __call__(self, asked: Asked) -> Line:
        if self.rng.random() < self.rate:
            kind = self.rng.choice(self.kinds)
            self.sent[kind] += 1
            return line(kind)
        self.sent["good"] += 1
        self.number += asked.count
        return [good(self.number - i) for i in range(asked.count)]


def model_of(script: Script) -> Seat:
    """The scripted model as it sits in an ensemble."""
    return ScriptedModel(script, name="m", role="fast"), MemberSettings()


async def play(
    task: Task, folder: Path, kinds: tuple[str, ...], *, rate: float = 1.0, evaluations: int = 60
) -> Outcome:
    """One run, one slot: requests are awaited in order, so it can be repeated."""
    script, budget = Script(kinds, rate), Budget(evaluations=evaluations)
    team = team_of(task, model_of(script), budget=budget, manner=Manner(4, wait=True))
    engine = engine_of(task, folder, team, counting(), budget=budget)
    reason = await engine.run()
    store, member = engine.parts.store, team.ensemble.members["m"]
    made = [store.program(row.program_id) for row in store.evaluations()]
    own = [program for program in made if program.proposer == MODEL]
    wasted = [p for p in own if not re.search(r"return [1-9]\d*\n", p.files[FILE])]
    discards = store.discards()
    await team.close()
    store.close()
    return Outcome(
        reason,
        len(made),
        len(own),
        len(wasted),
        {reason: n for (who, reason), n in discards.items() if who == MODEL},
        dict(member.tally.losses),
        script.sent,
        engine.parts.ledger.search_cost().tokens,
    )
