import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from breeder import scaffold
from breeder.archive.replay import replay
from breeder.archive.store import Store
from breeder.assembly import build_mixture, effective_budget, grammar_of, new_archive
from breeder.config import BudgetConfig, RunConfig, SearchConfig
from breeder.core import Budget
from breeder.engine import Engine
from breeder.errors import RunError
from breeder.runner import Run, Watch
from breeder.task import Task
from breeder.task_formats import load


@pytest.fixture
def task(tmp_path: Path) -> Task:
    scaffold.new(tmp_path / "job")
    return load(tmp_path / "job")


def config(evaluations: int, **values: object) -> RunConfig:
    data = {"seed": 3, "slots": 1, "budget": BudgetConfig(evaluations=evaluations), **values}
    return RunConfig.model_validate(data)


def content(folder: Path) -> tuple[object, ...]:
    """Everything that a run stored but for times."""
    with Store.open(folder, readonly=True) as store:
        rows = tuple(
            (
                *(row.id, row.program_id, row.draw, row.island, row.fitness, row.placement),
                *(row.gain, dict(row.evaluation.metrics), row.evaluation.failure),
                *(row.evaluation.seed, row.evaluation.stage, dict(row.evaluation.artifacts)),
            )
            for split in ("search", "held_out")
            for row in store.evaluations(split=split)
        )
        programs = {row[1]: store.program(str(row[1])) for row in rows}
        return rows, programs, store.discards(), store.baselines()


def cells(task: Task, folder: Path, settings: RunConfig) -> list[tuple[int, tuple[int, ...], str]]:
    archive = new_archive(task, settings)
    with Store.open(folder, readonly=True) as store:
        replay(archive, store)
    return [(cell.island, cell.cell, cell.elite.program.id) for cell in archive.cells()]


def test_equal_seeds_and_one_slot_give_identical_runs(task: Task, tmp_path: Path) -> None:
    """Real executor, real sandbox, real proposers."""
    settings = config(40)
    for name in ("a", "b"):
        assert asyncio.run(Run(task, settings, tmp_path / name).start()).status == "finished"
    asyncio.run(Run(task, config(5, seed=4), tmp_path / "c").start())
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert cells(task, tmp_path / "a", settings) == cells(task, tmp_path / "b", settings)
    assert len(cells(task, tmp_path / "a", settings)) > 1
    # It is the seed that does it: another one makes other programs.
    programs = [set(content(tmp_path / name)[1]) for name in ("a", "c")]  # type: ignore[call-overload]
    assert not programs[1] <= programs[0]


@dataclass
class Heard:
    """A watch that writes down what it is told."""

    phases: list[str]
    counts: list[int]

    def watch(self) -> Watch:
        def changed(engine: Engine) -> None:
            self.counts.append(engine.parts.ledger.evaluations)

        return Watch(changed, self.phases.append)


def test_phases_and_progress_are_told(task: Task, tmp_path: Path) -> None:
    heard = Heard([], [])
    # One evaluation: the start alone, which is written by hand.
    settings = config(1, sandbox="none")
    run = Run(task, settings, tmp_path / "run", watch=heard.watch())
    assert asyncio.run(run.start()) == ("finished", "budget used: evaluations")
    assert heard.phases == [
        *("starting the evaluator", "searching", "evaluating on held-out data"),
    ]
    assert heard.counts[0] == 0
    assert heard.counts == sorted(heard.counts)
    # The second sitting knows at once where the first one ended.
    again = Heard([], [])
    asyncio.run(Run(task, settings, tmp_path / "run", watch=again.watch()).resume())
    assert set(again.counts) == {1}


def test_the_store_keeps_the_budget_in_force(task: Task, tmp_path: Path) -> None:
    settings = RunConfig(sandbox="none", budget=BudgetConfig(cpu_seconds=0.001))
    asyncio.run(Run(task, settings, tmp_path / "run").start())
    with Store.open(tmp_path / "run", readonly=True) as store:
        record = store.run()
        kept = json.loads(record.config_json)["budget"]
        books = record.elapsed, record.engine_cpu
        start = store.start()
    assert {name: value for name, value in kept.items() if value} == {"cpu_seconds": 0.001}
    assert start is not None
    assert books[0] >= start.elapsed > 0
    assert books[1] > 0


def test_a_killed_sitting_counts_up_to_its_last_evaluation(task: Task, tmp_path: Path) -> None:
    settings = config(1, sandbox="none")
    asyncio.run(Run(task, settings, tmp_path / "run").start())
    with Store.open(tmp_path / "run") as store:
        start = store.start()
        assert start is not None
        # As a kill leaves it: the run row still says what it said in the beginning.
        store.update_run(status="running", detail="", finished_at=None, elapsed=0.0, engine_cpu=0.0)
    run = Run(task, settings, tmp_path / "run")
    asyncio.run(run.resume())
    assert run.engine is not None
    assert run.engine.parts.ledger.elapsed() >= start.elapsed
    with Store.open(tmp_path / "run", readonly=True) as store:
        assert store.run().elapsed >= start.elapsed
        assert store.run().status == "finished"


def test_a_folder_with_other_files_is_refused(task: Task, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds files that are no run"):
        asyncio.run(Run(task, config(1, sandbox="none"), tmp_path / "job").start())
    assert sorted(path.name for path in (tmp_path / "job").iterdir()) == [
        *("README.md", "evaluate.py", "initial.py", "task.toml"),
    ]


def test_the_budget_is_the_configured_one_else_the_tasks_else_ten_minutes(task: Task) -> None:
    assert effective_budget(task, config(7)) == Budget(evaluations=7)
    assert effective_budget(task, RunConfig()) == Budget(minutes=2)
    bare = task.file.model_copy(update={"budget": type(task.file.budget)()})
    assert effective_budget(Task(task.folder, bare), RunConfig()) == Budget(minutes=10)


def test_only_the_named_proposers_take_part(task: Task) -> None:
    names = SearchConfig(proposers=("tuning", "syntax")).proposers
    mixture = build_mixture(task, names)
    assert {share.name for share in mixture.shares()} == {"tuning", "syntax"}
    assert grammar_of(task).languages == {"initial.py": "python"}
