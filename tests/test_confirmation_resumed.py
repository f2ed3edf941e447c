"""Runs of a measured task that are cut off and go on."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from breeder.executors.executor import Job
from breeder.task import Task
from tests.measured_run import (
    Stopwatch,
    build,
    content,
    five_percent_from_ten,
    two_percent_from_five,
    write_task,
)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return write_task(tmp_path / "task")


class KilledError(Exception):
    pass


def die_at(count: int) -> Callable[[Job], None]:
    left = [count]

    def hook(job: Job) -> None:
        left[0] -= 1
        if not left[0]:
            raise KilledError

    return hook


@pytest.mark.parametrize("jobs", [2, 4, 6, 16, 17, 18, 19, 25])
def test_a_killed_run_goes_on_exactly_where_it_was(task: Task, tmp_path: Path, jobs: int) -> None:
    """Killed before any job, mid-race or not; the one island leaves no choice of a parent."""
    whole = build(
        task, tmp_path / "whole", Stopwatch(five_percent_from_ten), evaluations=30, islands=1
    )
    asyncio.run(whole.run())
    executor = Stopwatch(five_percent_from_ten)
    executor.hook = die_at(jobs)
    engine = build(task, tmp_path / "killed", executor, evaluations=30, islands=1)
    with pytest.raises(KilledError):
        asyncio.run(engine.run())
    engine.parts.store.close()
    again = build(
        task, tmp_path / "killed", Stopwatch(five_percent_from_ten), evaluations=30, islands=1
    )
    asyncio.run(again.run())
    mine, theirs = content(again), content(whole)
    assert mine[-3] == theirs[-3]
    assert mine[-1] == theirs[-1]


def test_a_run_killed_while_its_champion_defends_goes_on_exactly(tmp_path: Path) -> None:
    """Killed before every job of a run with a defence; what is shown includes the defence."""
    task = write_task(tmp_path / "task", heats=6)
    whole = build(
        task, tmp_path / "whole", Stopwatch(two_percent_from_five), evaluations=16, islands=1
    )
    asyncio.run(whole.run())
    heats = [row.program_id for row in whole.parts.store.evaluations(split="confirm")]
    start, challenger = heats[0], next(one for one in heats if one != heats[0])
    assert start in heats[heats.index(challenger) :]
    stored = whole.parts.store.challenges()[0]
    assert stored.heats == heats.count(start)
    for jobs in range(2, 16 + len(heats)):
        executor, folder = Stopwatch(two_percent_from_five), tmp_path / f"killed{jobs}"
        executor.hook = die_at(jobs)
        engine = build(task, folder, executor, evaluations=16, islands=1)
        with pytest.raises(KilledError):
            asyncio.run(engine.run())
        engine.parts.store.close()
        again = build(task, folder, Stopwatch(two_percent_from_five), evaluations=16, islands=1)
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
