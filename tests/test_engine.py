import asyncio
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from breeder.admission import Admission
from breeder.archive.islands import IslandArchive
from breeder.archive.selection import SelectionConfig
from breeder.archive.store import RunRecord, Store
from breeder.core import Budget, Cost, Evaluation, Failure, FailureKind
from breeder.engine import Engine
from breeder.errors import EvaluatorError, NothingAchievedError
from breeder.executors.executor import Job, Split
from breeder.ledger import Ledger, SystemClock
from breeder.progress import Parts, Progress, Settings
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Grammar, Proposer
from breeder.proposers.scripted import ScriptedProposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.task import Task, load_native

TEMPLATE = "# EVOLVE-BLOCK-START\nx = {}\n# EVOLVE-BLOCK-END\n"
GRAMMAR = Grammar({"initial.py": "python"})


@pytest.fixture
def task(tmp_path: Path) -> Task:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "task.toml").write_text(
        '[task]\nname = "toy"\ngoal = "raise x"\n[program]\nfiles = ["initial.py"]\n'
        '[[objective]]\nname = "score"\ndirection = "maximize"\n[construction]\n'
    )
    (folder / "initial.py").write_text(TEMPLATE.format(0))
    (folder / "evaluate.py").write_text("def evaluate(candidate):\n    return {'score': 0.0}\n")
    return load_native(folder)


def score(job: Job) -> Evaluation:
    """Score the number assigned to x by reading the text; text that is no number fails."""
    value = job.program.files["initial.py"].split("x = ")[1].split("\n")[0]
    cost = Cost(cpu_seconds=0.5)
    try:
        number = float(value)
    except ValueError:
        return Evaluation(failure=Failure(FailureKind.EXCEPTION, value), cost=cost, stages_run=1)
    found = msgspec.msgpack.encode(number)
    return Evaluation({"score": number}, cost=cost, stages_run=1, construction=found, seed=job.seed)


class FakeExecutor:
    """Scores text without running it; can be told to wait or to break."""

    def __init__(self, slots: int = 1, *, gate: asyncio.Event | None = None) -> None:
        self.slots = slots
        self.jobs: list[Job] = []
        self.running = 0
        self.peak = 0
        self.finished = 0
        self.gate = gate
        self.broken = False

    async def start(self) -> None: ...

    async def evaluate(self, job: Job) -> Evaluation:
        self.jobs.append(job)
        if self.broken and len(self.jobs) > 3:
            raise EvaluatorError("evaluate.py is gone")
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if self.gate is not None and len(self.jobs) > 1:
                await self.gate.wait()
            await asyncio.sleep(0)
            self.finished += 1
            return score(job)
        finally:
            self.running -= 1

    async def baselines(self, split: Split) -> Mapping[str, Mapping[str, float]]:
        return {}

    async def close(self) -> None: ...


def record() -> RunRecord:
    return RunRecord("0", "toy", "breeder", "", "", "{}", "{}", "none", True, "{}", "2026-01-01")


def build(
    task: Task,
    folder: Path,
    proposers: list[Proposer],
    *,
    executor: FakeExecutor | None = None,
    budget: Budget | None = None,
    settings: Settings | None = None,
) -> Engine:
    parts = Parts(
        task,
        IslandArchive(task.objectives, (), selection=SelectionConfig(islands=2)),
        Mixture(proposers),
        Admission(task.files, GRAMMAR, source_kib=64),
        executor or FakeExecutor(),
        Store.create(folder, record()),
        Ledger(budget or Budget(evaluations=20), SystemClock()),
    )
    return Engine(parts, settings or Settings())


def numbers(n: int) -> dict[str, str]:
    return {"initial.py": TEMPLATE.format(n + 1)}


def test_every_evaluation_is_stored_and_the_best_is_the_champion(
    task: Task, tmp_path: Path
) -> None:
    engine = build(task, tmp_path / "run", [ScriptedProposer(numbers)])
    assert asyncio.run(engine.run()) == "budget used: evaluations"
    store = engine.parts.store
    assert store.counts()["evaluations"] == 20
    champion = store.champion()
    assert champion is not None
    assert champion.fitness == 19.0
    assert [row.gain for row in store.evaluations()][1:] == [1.0] * 19


def test_same_seed_same_archive(task: Task, tmp_path: Path) -> None:
    class AnyText(FakeExecutor):
        """Scores any text by its checksum, so that every edit counts."""

        async def evaluate(self, job: Job) -> Evaluation:
            checksum = zlib.crc32(job.program.files["initial.py"].encode())
            return Evaluation({"score": float(checksum)}, stages_run=1)

    task.files["initial.py"] = TEMPLATE.format("[0.5 * a + 2 for a in (1, 2, 3) if a > 1]")

    def archive(folder: str, seed: int) -> list[tuple[int, tuple[int, ...], str]]:
        engine = build(
            task, tmp_path / folder, [SyntaxProposer(GRAMMAR)],
            budget=Budget(evaluations=60), settings=Settings(seed=seed), executor=AnyText(),
        )  # fmt: skip
        asyncio.run(engine.run())
        return [(c.island, c.cell, c.elite.program.id) for c in engine.parts.archive.cells()]

    assert archive("a", 1) == archive("b", 1)
    assert archive("a2", 1) != archive("c", 2)


def test_failures_are_values_counted_by_kind(task: Task, tmp_path: Path) -> None:
    script = ScriptedProposer(lambda n: {"initial.py": TEMPLATE.format(f"bad{n}")})
    engine = build(task, tmp_path / "run", [script], budget=Budget(evaluations=6))
    asyncio.run(engine.run())
    assert engine.progress.failures == {"exception": 5}
    assert engine.progress.succeeded == 0
    assert all(outcome.fitness is None for outcome in script.outcomes)


def test_duplicates_cost_no_evaluation_and_exhaustion_ends_the_run(
    task: Task, tmp_path: Path
) -> None:
    script = ScriptedProposer(lambda n: {"initial.py": TEMPLATE.format(n % 3 + 1)})
    engine = build(task, tmp_path / "run", [script], budget=Budget(evaluations=50))
    assert asyncio.run(engine.run()).startswith("exhausted")
    assert engine.parts.ledger.evaluations == 4
    assert engine.parts.store.discards()["scripted", "duplicate"] >= 1000


def test_who_offers_nothing_exhausts_the_run(task: Task, tmp_path: Path) -> None:
    engine = build(task, tmp_path / "run", [ScriptedProposer(lambda n: None)])
    assert asyncio.run(engine.run()).startswith("exhausted")


def test_slots_are_used_side_by_side_and_never_overbooked(task: Task, tmp_path: Path) -> None:
    executor = FakeExecutor(slots=4)
    engine = build(task, tmp_path / "run", [ScriptedProposer(numbers)], executor=executor)
    asyncio.run(engine.run())
    assert executor.peak == 4
    assert engine.parts.ledger.evaluations == 20


def test_plateau_ends_the_run(task: Task, tmp_path: Path) -> None:
    script = ScriptedProposer(lambda n: {"initial.py": TEMPLATE.format(-n - 1)})
    engine = build(task, tmp_path / "run", [script], settings=Settings(plateau=5))
    assert asyncio.run(engine.run()).startswith("plateau: 5")
    assert engine.parts.ledger.evaluations == 6


def test_the_best_construction_is_handed_on(task: Task, tmp_path: Path) -> None:
    executor = FakeExecutor()
    engine = build(task, tmp_path / "run", [ScriptedProposer(numbers)], executor=executor)
    asyncio.run(engine.run())
    handed = [
        msgspec.msgpack.decode(job.construction) for job in executor.jobs[1:] if job.construction
    ]
    assert handed == [float(n) for n in range(19)]


def test_stop_finishes_what_is_in_flight(task: Task, tmp_path: Path) -> None:
    async def scenario() -> tuple[Engine, FakeExecutor, str]:
        gate = asyncio.Event()
        executor = FakeExecutor(slots=2, gate=gate)
        engine = build(task, tmp_path / "run", [ScriptedProposer(numbers)], executor=executor)
        running = asyncio.ensure_future(engine.run())
        while executor.running < 2:
            await asyncio.sleep(0)
        engine.stop("stopped by a signal")
        gate.set()
        return engine, executor, await running

    engine, executor, reason = asyncio.run(scenario())
    assert reason == "stopped by a signal"
    assert executor.finished == len(executor.jobs) == 3
    assert engine.parts.store.counts()["evaluations"] == 3


def test_a_broken_evaluator_stops_the_run_and_loses_nothing(task: Task, tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.broken = True
    engine = build(task, tmp_path / "run", [ScriptedProposer(numbers)], executor=executor)
    with pytest.raises(EvaluatorError):
        asyncio.run(engine.run())
    assert engine.parts.store.counts()["evaluations"] == 3


def test_a_failing_start_achieves_nothing(task: Task, tmp_path: Path) -> None:
    task.files["initial.py"] = TEMPLATE.format("bad")
    engine = build(task, tmp_path / "run", [ScriptedProposer(numbers)])
    with pytest.raises(NothingAchievedError, match="the initial program failed"):
        asyncio.run(engine.run())


def test_resumed_draws_do_not_repeat(task: Task, tmp_path: Path) -> None:
    engine = build(task, tmp_path / "run", [ScriptedProposer(numbers)])
    asyncio.run(engine.run())
    assert int(engine.parts.store.state("draws")) == engine.progress.draws == 19
    again = Progress(draws=engine.progress.draws, start=engine.progress.start)
    other = Engine(engine.parts, Settings(), progress=again)
    draw, _, number = other.select()
    assert number == 19
    assert draw.best == 19.0


def test_width_hides_the_latency_of_proposing(task: Task, tmp_path: Path) -> None:
    engine = build(
        task, tmp_path / "run", [ScriptedProposer(numbers)], executor=FakeExecutor(slots=4)
    )
    assert engine.width() == 6
    engine._latency.add(1.0)
    engine._duration.add(1.0)
    assert engine.width() == 11
    one = build(task, tmp_path / "one", [ScriptedProposer(numbers)])
    assert one.width() == 1
