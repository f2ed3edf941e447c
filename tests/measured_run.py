"""A made-up measured task through the whole engine; the executor draws its noise from the seed."""

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from breeder.admission import Admission
from breeder.archive.islands import IslandArchive
from breeder.archive.replay import replay
from breeder.archive.selection import SelectionConfig
from breeder.archive.store import RunRecord, Store
from breeder.core import Budget, Cost, Evaluation, Failure, FailureKind
from breeder.engine import Engine
from breeder.executors.executor import Job, Split
from breeder.ledger import Ledger, SystemClock
from breeder.progress import Parts, Progress, Settings
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Grammar
from breeder.proposers.scripted import ScriptedProposer
from breeder.resumption import recall
from breeder.task import Task, load_native

TEMPLATE = "# EVOLVE-BLOCK-START\nx = {}\n# EVOLVE-BLOCK-END\n"
GRAMMAR = Grammar({"initial.py": "python"})
NOISE = 0.01
HALF = 1.959964 * NOISE

TOML = """[task]
name = "toy"
goal = "be fast"
[program]
files = ["initial.py"]
[[objective]]
name = "speedup"
direction = "maximize"
[measured]
metric = "speedup"
"""


def write_task(folder: Path, *, heats: int = 4) -> Task:
    folder.mkdir()
    (folder / "task.toml").write_text(f"{TOML}heats = {heats}\n")
    (folder / "initial.py").write_text(TEMPLATE.format(0))
    (folder / "evaluate.py").write_text("def evaluate(candidate):\n    return {}\n")
    return load_native(folder)


def x_of(job: Job) -> int:
    return int(job.program.files["initial.py"].split("x = ")[1].split("\n")[0])


def same_as_the_start(job: Job) -> float:
    return 0.0


def five_percent_from_ten(job: Job) -> float:
    return math.log(1.05) if x_of(job) >= 10 else 0.0


def two_percent_from_five(job: Job) -> float:
    return math.log(1.02) if x_of(job) >= 5 else 0.0


class Stopwatch:
    """Measures a made-up log speed-up with normal noise drawn from the job's seed and split."""

    def __init__(self, truth: Callable[[Job], float] = same_as_the_start, slots: int = 1) -> None:
        self.slots = slots
        self.jobs: list[Job] = []
        self.truth = truth
        self.fail: Callable[[Job], bool] = lambda job: False
        self.hook: Callable[[Job], None] = lambda job: None
        self.intervals = True

    async def start(self) -> None: ...

    async def evaluate(self, job: Job) -> Evaluation:
        self.jobs.append(job)
        self.hook(job)
        await asyncio.sleep(0)
        cost = Cost(cpu_seconds=1.0)
        if self.fail(job):
            return Evaluation(failure=Failure(FailureKind.INVALID, "wrong"), cost=cost)
        rng = random.Random(f"{job.seed}:{job.split}")
        value = self.truth(job) + rng.gauss(0, NOISE)
        interval = (math.exp(value - HALF), math.exp(value + HALF))
        return Evaluation(
            {"speedup": math.exp(value)},
            cost=cost,
            stages_run=1,
            intervals={"speedup": interval} if self.intervals else {},
            seed=job.seed,
        )

    def heats(self) -> list[Job]:
        return [job for job in self.jobs if job.split == "confirm"]

    async def baselines(self, split: Split) -> Mapping[str, Mapping[str, float]]:
        return {}

    async def check_construction(self, construction: bytes) -> Mapping[str, float]:
        return {}

    async def close(self) -> None: ...


def numbers(n: int) -> dict[str, str]:
    return {"initial.py": TEMPLATE.format(n + 1)}


def build(
    task: Task,
    folder: Path,
    executor: Stopwatch,
    *,
    evaluations: int = 20,
    cpu_seconds: float | None = None,
    seed: int = 0,
    islands: int = 2,
) -> Engine:
    """A new run, or an old one taken up where its store says."""
    budget = Budget(evaluations=evaluations, cpu_seconds=cpu_seconds)
    selection = SelectionConfig(islands=islands, migration_interval=20)
    archive = IslandArchive(task.objectives, (), selection=selection)
    ledger = Ledger(budget, SystemClock())
    progress, skipped = Progress(), 0
    if (folder / "run.db").exists():
        store = Store.open(folder)
        replay(archive, store)
        progress = recall(store, ledger, task)
        skipped = store.counts()["evaluations"] - 1
    else:
        described = task.file.model_dump_json()
        store = Store.create(
            folder, RunRecord("0", "", "breeder", "", "", described, "{}", "none", True, "{}", "")
        )
    script = ScriptedProposer(lambda n: numbers(n + skipped))
    admission = Admission(task.files, GRAMMAR, source_kib=64, seen=store.fingerprints())
    parts = Parts(task, archive, Mixture([script]), admission, executor, store, ledger)
    return Engine(parts, Settings(seed=seed), progress=progress)


def outcomes(engine: Engine) -> list[str]:
    return [row.outcome.value for row in engine.parts.store.challenges()]


def content(engine: Engine) -> list[object]:
    """What a run stored, but for times, and what it keeps in memory."""
    store = engine.parts.store
    rows: list[object] = [
        (row.program_id, row.split, row.fitness, row.placement, row.gain, row.evaluation.seed)
        for split in ("search", "confirm")
        for row in store.evaluations(split=split)
    ]
    races = [
        (r.number, r.outcome, r.against, r.value, r.low, r.high, r.heats, r.decided)
        for r in store.challenges()
    ]
    kept = [
        (c.island, c.cell, c.elite.program.id, c.elite.fitness, c.elite.error)
        for c in engine.parts.archive.cells()
    ]
    race = engine.progress.race
    assert race is not None
    standing = (race.champion, race.last, sorted(race.open), race.outcomes)
    return [*rows, races, kept, standing]
