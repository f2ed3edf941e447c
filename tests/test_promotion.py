"""Promotion: the bound that recent programs set, through the engine and into the cascade."""

import asyncio
from pathlib import Path

import pytest

from breeder.archive.store import Store
from breeder.core import Budget, Cost, Evaluation, Failure, FailureKind
from breeder.evaluation.protocol import Threshold
from breeder.executors.executor import Job
from breeder.ledger import Ledger, SystemClock
from breeder.promotion import LEAST, WINDOW, Promotion
from breeder.proposers.scripted import ScriptedProposer
from breeder.resumption import recall
from breeder.task import StageSection, Task, load_native
from tests.test_engine import FakeExecutor, build, numbers

HIGHER = StageSection(name="quick", metric="glance", at_least=0.0, promote=0.25)
LOWER = StageSection(name="quick", metric="glance", at_most=9.0, promote=0.25)


def seen(*values: float, stage: StageSection = HIGHER) -> Promotion:
    promotion = Promotion()
    for value in values:
        promotion.take([stage], Evaluation({"glance": value}))
    return promotion


def test_the_best_share_of_what_was_seen_goes_on() -> None:
    values = [float(n) for n in range(20)]
    assert seen(*values).bounds([HIGHER]) == {"quick": 15.0}
    assert seen(*values, stage=LOWER).bounds([LOWER]) == {"quick": 4.0}


def test_with_little_to_compare_with_every_program_goes_on() -> None:
    assert seen(*[1.0] * (LEAST - 1)).bounds([HIGHER]) == {}
    assert seen(*[1.0] * LEAST).bounds([HIGHER]) == {"quick": 1.0}


def test_only_recent_programs_count() -> None:
    old, new = [100.0] * WINDOW, [1.0] * WINDOW
    assert seen(*old, *new).bounds([HIGHER]) == {"quick": 1.0}


def test_programs_that_stopped_earlier_or_at_other_stages_do_not_count() -> None:
    plain = StageSection(name="full", metric="glance", at_least=0.0)
    promotion = Promotion()
    for _ in range(LEAST):
        promotion.take([HIGHER, plain], Evaluation({"other": 1.0}))
        promotion.take([plain], Evaluation({"glance": 1.0}))
    assert promotion.bounds([HIGHER, plain]) == {}


@pytest.mark.parametrize(
    ("own", "bound", "expected"),
    [
        (Threshold("m", at_least=2.0), 3.0, Threshold("m", at_least=3.0)),
        (Threshold("m", at_least=2.0), 1.0, Threshold("m", at_least=2.0)),
        (Threshold("m", at_most=2.0), 1.0, Threshold("m", at_most=1.0)),
        (Threshold("m", at_most=2.0), 3.0, Threshold("m", at_most=2.0)),
    ],
)
def test_a_bound_only_tightens(own: Threshold, bound: float, expected: Threshold) -> None:
    assert own.tightened(bound) == expected


class Glancing(FakeExecutor):
    """Stops programs at the first stage where the job asks for more than their number."""

    async def evaluate(self, job: Job) -> Evaluation:
        found = await super().evaluate(job)
        metrics = {"glance": found.metrics["score"]}
        if metrics["glance"] < job.bounds.get("quick", 0.0):
            failure = Failure(FailureKind.THRESHOLD, "too little", "quick")
            return Evaluation(metrics, failure=failure, cost=Cost(0.1), stages_run=1)
        return Evaluation({**found.metrics, **metrics}, cost=found.cost, stages_run=2)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "task.toml").write_text(
        '[task]\nname = "toy"\ngoal = "raise x"\n[program]\nfiles = ["initial.py"]\n'
        '[[objective]]\nname = "score"\ndirection = "maximize"\n'
        '[[stage]]\nname = "quick"\nmetric = "glance"\nat_least = 0\npromote = 0.25\n'
        '[[stage]]\nname = "full"\n'
    )
    (folder / "initial.py").write_text("# EVOLVE-BLOCK-START\nx = 0\n# EVOLVE-BLOCK-END\n")
    (folder / "evaluate.py").write_text("def evaluate(candidate):\n    return {'score': 0.0}\n")
    return load_native(folder)


def test_the_engine_asks_for_what_recent_programs_reached(task: Task, tmp_path: Path) -> None:
    executor = Glancing()
    script = ScriptedProposer(lambda n: numbers(n if n % 2 else 0 - n))  # odd ones get better
    engine = build(
        task, tmp_path / "run", [script], executor=executor, budget=Budget(evaluations=60)
    )
    asyncio.run(engine.run())
    first, last = executor.jobs[LEAST - 1], executor.jobs[-1]
    assert first.bounds == {}
    assert last.bounds["quick"] > 20
    assert engine.progress.failures["threshold"] > 20
    assert engine.progress.champion is not None
    assert engine.progress.champion.fitness == 58.0


def test_a_resumed_run_goes_on_with_the_same_bounds(task: Task, tmp_path: Path) -> None:
    script = ScriptedProposer(numbers)
    engine = build(
        task, tmp_path / "run", [script], executor=Glancing(), budget=Budget(evaluations=40)
    )
    asyncio.run(engine.run())
    stages = task.file.stage
    with Store.open(tmp_path / "run", readonly=True) as store:
        again = recall(store, Ledger(Budget(evaluations=1), SystemClock()), task)
    assert again.promotion.bounds(stages) == engine.progress.promotion.bounds(stages) != {}
