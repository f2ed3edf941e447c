"""Measured tasks through the whole engine, with an executor that draws its noise from the seed."""

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from breeder.admission import Admission
from breeder.archive.islands import IslandArchive
from breeder.archive.records import ChallengeOutcome
from breeder.archive.replay import replay
from breeder.archive.selection import SelectionConfig
from breeder.archive.store import RunRecord, Store
from breeder.core import Budget, Cost, Evaluation, Failure, FailureKind
from breeder.engine import Engine
from breeder.errors import NothingAchievedError, TaskError
from breeder.executors.executor import Job, Split
from breeder.ledger import Ledger, SystemClock
from breeder.progress import Parts, Progress, Settings
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Grammar
from breeder.proposers.scripted import ScriptedProposer
from breeder.racing import pool
from breeder.resumption import recall
from breeder.task import Task, load_native

TEMPLATE = "# EVOLVE-BLOCK-START\nx = {}\n# EVOLVE-BLOCK-END\n"
GRAMMAR = Grammar({"initial.py": "python"})
NOISE = 0.01
HALF = 1.959964 * NOISE
SELECTION = SelectionConfig(islands=2, migration_interval=20)

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


@pytest.fixture
def task(tmp_path: Path) -> Task:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "task.toml").write_text(TOML)
    (folder / "initial.py").write_text(TEMPLATE.format(0))
    (folder / "evaluate.py").write_text("def evaluate(candidate):\n    return {}\n")
    return load_native(folder)


def x_of(job: Job) -> int:
    return int(job.program.files["initial.py"].split("x = ")[1].split("\n")[0])


def same_as_the_start(job: Job) -> float:
    return 0.0


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
) -> Engine:
    """A new run, or an old one taken up where its store says."""
    budget = Budget(evaluations=evaluations, cpu_seconds=cpu_seconds)
    archive = IslandArchive(task.objectives, (), selection=SELECTION)
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


@pytest.mark.parametrize("seed", range(3))
def test_five_hundred_programs_like_the_start_crown_nobody(
    task: Task, tmp_path: Path, seed: int
) -> None:
    """With seeds that crown nobody; that at most 1 in 20 does is shown in test_racing."""
    engine = build(task, tmp_path / "run", Stopwatch(), evaluations=500, seed=seed)
    asyncio.run(engine.run())
    store = engine.parts.store
    assert store.champion() is None
    assert outcomes(engine)[0] == "confirmed"
    assert set(outcomes(engine)[1:]) == {"refuted"}
    assert engine.progress.champion is engine.progress.start
    best = engine.parts.archive.best()
    assert best is not None
    # No lucky score stands out: whoever leads is within what a challenge would have needed.
    race = engine.progress.race
    assert race is not None
    assert race.champion is not None
    assert math.log(best.fitness) - race.champion.value < 2.5 * NOISE


def five_percent_from_ten(job: Job) -> float:
    return math.log(1.05) if x_of(job) >= 10 else 0.0


def test_a_better_program_is_confirmed_with_the_value_of_its_heats(
    task: Task, tmp_path: Path
) -> None:
    executor = Stopwatch(five_percent_from_ten)
    engine = build(task, tmp_path / "run", executor, evaluations=40)
    asyncio.run(engine.run())
    store = engine.parts.store
    champion, row = store.champion(), store.confirmed()
    assert champion is not None
    assert row is not None
    assert row.value is not None
    assert row.evaluation == champion.id
    heats = store.heats(row)
    race = engine.progress.race
    assert race is not None
    pooled = race.scale.figures(pool([race.scale.read(heat.evaluation) for heat in heats]))
    assert (row.value, row.low, row.high) == pooled
    assert row.heats == len(heats) >= 2
    assert champion.evaluation.seed not in [heat.evaluation.seed for heat in heats]
    assert math.log(row.value) == pytest.approx(math.log(1.05), abs=4 * NOISE)
    found = engine.progress.champion
    assert found is not None
    assert found.fitness == row.value
    assert champion.gain == pytest.approx(row.value - engine.progress.start.fitness)  # type: ignore[union-attr]
    # Everybody after it is told what to beat.
    assert executor.jobs[-1].to_beat == row.value
    assert executor.jobs[0].to_beat is None


def lucky_tenth(job: Job) -> float:
    """Program 10 scores 30 % in the search and is 3 % slower in truth."""
    if x_of(job) != 10:
        return 0.0
    return 0.3 if job.split == "search" else -0.03


def test_a_lucky_one_is_refuted_early_and_does_not_lead_the_archive(
    task: Task, tmp_path: Path
) -> None:
    executor = Stopwatch(lucky_tenth)
    engine = build(task, tmp_path / "run", executor)
    asyncio.run(engine.run())
    store = engine.parts.store
    (row,) = (r for r in store.challenges() if x_number(store, r.evaluation) == 10)
    assert row.outcome is ChallengeOutcome.REFUTED
    assert row.heats == 1
    assert row.value is not None
    assert row.value < 1.0
    best = engine.parts.archive.best()
    assert best is not None
    assert best.fitness < 1.1
    kept = [cell.elite for cell in engine.parts.archive.cells()]
    assert all(elite.fitness < 1.1 for elite in kept)


def x_number(store: Store, evaluation: int) -> int:
    program = store.program(store.evaluation(evaluation).program_id)
    return x_of(Job(program))


def test_who_fails_in_a_heat_is_refuted_and_withdrawn(task: Task, tmp_path: Path) -> None:
    executor = Stopwatch(lucky_tenth)
    executor.fail = lambda job: job.split == "confirm" and x_of(job) == 10
    engine = build(task, tmp_path / "run", executor)
    asyncio.run(engine.run())
    store = engine.parts.store
    (row,) = (r for r in store.challenges() if x_number(store, r.evaluation) == 10)
    assert (row.outcome, row.heats, row.value) == (ChallengeOutcome.REFUTED, 1, None)
    program = store.evaluation(row.evaluation).program_id
    kept = [cell.elite.program.id for cell in engine.parts.archive.cells()]
    assert program not in kept


def test_a_start_that_fails_to_be_confirmed_achieves_nothing(task: Task, tmp_path: Path) -> None:
    executor = Stopwatch()
    executor.fail = lambda job: job.split == "confirm"
    engine = build(task, tmp_path / "run", executor)
    with pytest.raises(NothingAchievedError, match="failed to be confirmed: invalid: wrong"):
        asyncio.run(engine.run())


def test_a_measured_task_without_intervals_is_refused_in_one_line(
    task: Task, tmp_path: Path
) -> None:
    executor = Stopwatch()
    executor.intervals = False
    engine = build(task, tmp_path / "run", executor)
    with pytest.raises(TaskError, match="no interval for 'speedup'"):
        asyncio.run(engine.run())


def test_heats_are_charged_to_their_own_phase_and_count_against_the_budget(
    task: Task, tmp_path: Path
) -> None:
    executor = Stopwatch(five_percent_from_ten)
    engine = build(task, tmp_path / "run", executor, evaluations=1000, cpu_seconds=30.0)
    assert asyncio.run(engine.run()) == "budget used: cpu seconds"
    ledger = engine.parts.ledger
    assert ledger.phases["confirm"].cpu_seconds == len(executor.heats()) >= 4
    # Evaluations cost 1 s here: the one under way when the budget ends is the only excess.
    assert len(executor.jobs) <= 31
    assert engine.parts.store.costs()["confirm"][0] == len(executor.heats())


def test_a_challenge_cut_off_by_the_budget_goes_on_with_a_larger_one(
    task: Task, tmp_path: Path
) -> None:
    executor = Stopwatch(lambda job: 0.05 * (x_of(job) == 1))
    engine = build(task, tmp_path / "run", executor, evaluations=2, cpu_seconds=7.0)
    asyncio.run(engine.run())
    # One for the start, four to confirm it, one for the program, one heat.
    assert len(executor.jobs) == 7
    assert outcomes(engine) == ["confirmed", "open"]
    engine.parts.store.close()
    again = build(task, tmp_path / "run", executor, evaluations=2, cpu_seconds=100.0)
    asyncio.run(again.run())
    assert outcomes(again) == ["confirmed", "confirmed"]
    assert len({job.seed for job in executor.heats()}) == len(executor.heats())


class KilledError(Exception):
    pass


def die_at(count: int) -> Callable[[Job], None]:
    left = [count]

    def hook(job: Job) -> None:
        left[0] -= 1
        if not left[0]:
            raise KilledError

    return hook


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


@pytest.mark.parametrize("jobs", [1, 2, 4, 6, 16, 17, 18, 19, 25])
def test_a_killed_run_goes_on_exactly_where_it_was(task: Task, tmp_path: Path, jobs: int) -> None:
    """Killed before any job, mid-race or not; parents do not matter to this script."""
    whole = build(task, tmp_path / "whole", Stopwatch(five_percent_from_ten), evaluations=30)
    asyncio.run(whole.run())
    executor = Stopwatch(five_percent_from_ten)
    executor.hook = die_at(jobs)
    engine = build(task, tmp_path / "killed", executor, evaluations=30)
    with pytest.raises(KilledError):
        asyncio.run(engine.run())
    engine.parts.store.close()
    again = build(task, tmp_path / "killed", Stopwatch(five_percent_from_ten), evaluations=30)
    asyncio.run(again.run())
    mine, theirs = content(again), content(whole)
    assert mine[-3] == theirs[-3]
    assert mine[-1] == theirs[-1]


def test_a_resumed_run_stands_where_the_first_one_stood(task: Task, tmp_path: Path) -> None:
    engine = build(task, tmp_path / "run", Stopwatch(five_percent_from_ten), evaluations=60)
    asyncio.run(engine.run())
    before = content(engine)
    progress = engine.progress
    engine.parts.store.close()
    again = build(task, tmp_path / "run", Stopwatch(five_percent_from_ten), evaluations=60)
    assert content(again) == before
    assert (again.progress.champion, again.progress.start) == (progress.champion, progress.start)
    assert again.progress.stagnation == progress.stagnation
    assert again.parts.ledger.phases["confirm"] == engine.parts.ledger.phases["confirm"]


def test_equal_seeds_and_one_slot_give_equal_races(task: Task, tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        engine = build(task, tmp_path / name, Stopwatch(five_percent_from_ten), evaluations=60)
        asyncio.run(engine.run())
        runs.append(content(engine))
    assert runs[0] == runs[1]


def test_challenges_side_by_side_are_decided_one_after_the_other(
    task: Task, tmp_path: Path
) -> None:
    racing: list[str] = []
    executor = Stopwatch(lambda job: 0.02 * min(x_of(job), 10), slots=4)

    def hook(job: Job) -> None:
        if job.split == "confirm" and job.program.id not in racing:
            racing.append(job.program.id)
        assert job.split == "search" or job.program.id == racing[-1]

    executor.hook = hook
    engine = build(task, tmp_path / "run", executor, evaluations=40)
    asyncio.run(engine.run())
    assert not engine.progress.race.open  # type: ignore[union-attr]
    assert "open" not in outcomes(engine)
    assert engine.parts.store.champion() is not None
    engine.parts.store.close()
    again = build(task, tmp_path / "run", executor, evaluations=40)
    assert content(again) == content_closed(engine, again)


def content_closed(engine: Engine, again: Engine) -> list[object]:
    """The first engine's memory beside the rows that both share."""
    rows = content(again)
    kept = [
        (c.island, c.cell, c.elite.program.id, c.elite.fitness, c.elite.error)
        for c in engine.parts.archive.cells()
    ]
    race = engine.progress.race
    assert race is not None
    return [*rows[:-2], kept, (race.champion, race.last, sorted(race.open), race.outcomes)]


def test_a_stop_leaves_the_race_open(task: Task, tmp_path: Path) -> None:
    executor = Stopwatch(lambda job: 0.05 * (x_of(job) == 1))
    engine = build(task, tmp_path / "run", executor)

    def hook(job: Job) -> None:
        if job.split == "confirm" and x_of(job) == 1:
            engine.stop("stopped by a signal")

    executor.hook = hook
    assert asyncio.run(engine.run()) == "stopped by a signal"
    assert outcomes(engine) == ["confirmed", "open"]
    assert len(executor.heats()) == 5
