import asyncio
import gc
import json
import random
from collections.abc import Iterator
from pathlib import Path

import cma  # noqa: F401 - its first import costs as much CPU as a whole run of this file
import pytest

from breeder import scaffold
from breeder.archive.store import Store
from breeder.config import MATCHED, BudgetConfig, RunConfig
from breeder.core import Elite, Evaluation, Placement, Program
from breeder.engine import Engine
from breeder.matched import BEST_OF, MatchedWatch, StartArchive, matched_methods
from breeder.proposers.llm.member import MemberSettings
from breeder.proposers.llm.scripted_model import Asked, ScriptedModel
from breeder.report.page import write_report
from breeder.report.summary import summarise
from breeder.runner import Run, Watch
from breeder.task import Task
from breeder.task_formats import load

METHODS = ("random search", "tuned start")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    scaffold.new(tmp_path / "job")
    return load(tmp_path / "job")


def settings(evaluations: int) -> RunConfig:
    budget = BudgetConfig(evaluations=evaluations)
    return RunConfig(seed=2, slots=1, baselines=True, budget=budget)


def spent(folder: Path) -> tuple[float, float]:
    """CPU seconds of a run's search, engine included, and of its dearest evaluation."""
    with Store.open(folder, readonly=True) as store:
        dearest = max(row.evaluation.cost.cpu_seconds for row in store.evaluations())
        return store.costs()["search"][0] + store.run().engine_cpu, dearest


def limit(folder: Path, method: str) -> float:
    """CPU seconds that a baseline was given."""
    with Store.open(folder / "baselines" / method.replace(" ", "-"), readonly=True) as store:
        return float(json.loads(store.run().config_json)["budget"]["cpu_seconds"])


def elite(number: int, fitness: float) -> Elite:
    return Elite(Program(str(number), {}), Evaluation(metrics={"x": fitness}), fitness)


def test_a_start_archive_draws_the_start_and_remembers_the_best() -> None:
    archive = StartArchive()
    with pytest.raises(LookupError):
        archive.draw(random.Random(0))
    assert (len(archive), archive.front(), archive.cells()) == (0, (), ())
    start, better = elite(0, 1.0), elite(1, 2.0)
    assert archive.place(start, 0) is Placement.NEW
    assert archive.place(elite(2, 0.5), 0) is Placement.REJECTED
    assert archive.place(better, 0) is Placement.IMPROVED
    assert archive.draw(random.Random(0)).parent is start
    assert archive.best() is better
    assert archive.front() == (better,)


def test_repeating_the_start_is_for_tasks_that_carry_a_construction() -> None:
    assert tuple(m.name for m in matched_methods(carries=False)) == METHODS
    assert tuple(m.name for m in matched_methods(carries=True)) == (*METHODS, "repeated start")
    every = matched_methods(carries=True, models=True)
    assert tuple(m.name for m in every) == (*METHODS, "repeated start", BEST_OF) == MATCHED


@pytest.fixture
def _quiet() -> Iterator[None]:
    """Collecting what other tests left would be charged to the run that is under way."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_quiet")
def test_baselines_spend_what_the_search_spent_and_stand_beside_it(
    task: Task, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    ending = asyncio.run(Run(task, settings(60), folder).start())
    assert ending.status == "finished"
    main, _ = spent(folder)
    # What is matched is the search: not held-out data, nor the baselines that ran before.
    assert [limit(folder, method) for method in METHODS] == pytest.approx([main] * 2, abs=0.02)
    for method in METHODS:
        theirs, dearest = spent(folder / "baselines" / method.replace(" ", "-"))
        # It stops at the first look at the books after the budget is used.
        assert 0.8 * main <= theirs <= 1.2 * main + dearest + 0.3
    with Store.open(folder, readonly=True) as store:
        data = summarise(store).to_json()
    rows = {(row["name"], row["split"]): row for row in data["baselines"]}
    for method in METHODS:
        for split in ("search", "held_out"):
            assert rows[method, split]["kind"] == "matched"
            assert rows[method, split]["metrics"]["lateness"] > 0
    dearest_rows = [rows[method, "search"]["cpu_seconds"] for method in METHODS]
    assert data["cost"]["baselines"]["cpu_seconds"] == pytest.approx(sum(dearest_rows))
    page = write_report(folder, tmp_path / "page").read_text()
    assert all(method in page for method in METHODS)

    # What was finished is taken as it is.
    stored = [(folder / "baselines" / n / "run.db").stat().st_size for n in _folders(folder)]
    asyncio.run(Run(task, settings(60), folder).resume())
    again = [(folder / "baselines" / n / "run.db").stat().st_size for n in _folders(folder)]
    assert again == stored


def _folders(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "baselines").iterdir())


def test_an_interrupt_ends_the_baselines_and_resuming_runs_them(task: Task, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run: Run
    sent: list[Engine] = []

    def interrupt(engine: Engine) -> None:
        if run.engine is not engine and engine.parts.ledger.evaluations >= 3 and not sent:
            sent.append(engine)
            run.interrupt()

    run = Run(task, settings(20), folder, watch=Watch(on_change=interrupt))
    ending = asyncio.run(run.start())
    assert ending == ("stopped", "stopped by a signal; the search itself is finished")
    with Store.open(folder, readonly=True) as store:
        assert store.baselines() == tuple(b for b in store.baselines() if b.kind == "task")
    assert _folders(folder) == ["random-search"]
    with Store.open(folder / "baselines" / "random-search", readonly=True) as store:
        assert store.run().status == "stopped"
        assert "cpu_seconds" in json.loads(store.run().config_json)["budget"]
    assert asyncio.run(Run(task, settings(20), folder).resume()).status == "finished"
    with Store.open(folder, readonly=True) as store:
        assert {b.name for b in store.baselines() if b.kind == "matched"} == set(METHODS)


def test_best_of_n_spends_as_many_tokens_on_the_start_alone(task: Task, tmp_path: Path) -> None:
    numbers = iter(range(1, 10_000))

    def script(asked: Asked) -> list[str]:
        ratings = (f"-1.0 * (due - now) - 0.001 * {next(numbers)}" for _ in range(asked.count))
        head = "def urgency(duration: float, weight: float, due: float, now: float) -> float:"
        return [f"```python\n{head}\n    return {rating}\n```" for rating in ratings]

    folder = tmp_path / "run"
    budget = BudgetConfig(evaluations=30)
    config = RunConfig(seed=2, slots=1, baselines=(BEST_OF,), budget=budget)
    seat = (ScriptedModel(script, name="m"), MemberSettings(max_tokens=200))
    assert asyncio.run(Run(task, config, folder, seats=[seat]).start()).status == "finished"
    theirs = folder / "baselines" / "best-of-N"
    with Store.open(folder, readonly=True) as store:
        tokens = summarise(store).cost["propose"].tokens
        row = next(b for b in store.baselines() if b.name == BEST_OF and b.split == "search")
    with Store.open(theirs, readonly=True) as store:
        start = store.start()
        assert start is not None
        programs = [store.program(row.program_id) for row in store.evaluations()][1:]
        assert programs
        assert {p.parents[0] for p in programs} == {start.program_id}
        assert {p.proposer for p in programs} == {"model:m"}
        spent = summarise(store).cost["propose"].tokens
        assert 0 < spent <= tokens
        assert row.evaluations == len(programs) + 1


def test_a_watch_stops_an_engine_only_when_it_is_to_be_halted() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.stopped: list[str] = []

        def stop(self, reason: str) -> None:
            self.stopped.append(reason)

    for halted in (False, True):
        engine, heard = Recorder(), list[object]()
        MatchedWatch(heard.append, lambda halted=halted: halted).changed(engine)  # type: ignore[misc, arg-type]
        assert heard == [engine]
        assert bool(engine.stopped) is halted
