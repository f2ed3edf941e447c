"""Measured tasks through the whole engine, with an executor that draws its noise from the seed."""

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest

from breeder.archive.records import ChallengeOutcome
from breeder.archive.store import Store
from breeder.confirmation import FINALISTS, SHARE
from breeder.core import Evaluation
from breeder.engine import Engine
from breeder.errors import NothingAchievedError, TaskError
from breeder.executors.executor import Job
from breeder.racing import pool
from breeder.task import Task
from tests.measured_run import (
    NOISE,
    Stopwatch,
    build,
    content,
    five_percent_from_ten,
    outcomes,
    write_task,
    x_of,
)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return write_task(tmp_path / "task")


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
    assert race.holder is not None
    lead = math.log(best.fitness) - race.champion.value
    assert lead < race.rules.least_lead(race.last + 1, race.holder.heats) < 4 * NOISE


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
    executor = Stopwatch(lambda job: 0.1 * (x_of(job) == 1))
    engine = build(task, tmp_path / "run", executor, evaluations=2, cpu_seconds=5.0)
    asyncio.run(engine.run())
    # One for the start, two to confirm it, one for the program, one heat.
    assert len(executor.jobs) == 5
    assert outcomes(engine) == ["confirmed", "open"]
    engine.parts.store.close()
    again = build(task, tmp_path / "run", executor, evaluations=2, cpu_seconds=100.0)
    asyncio.run(again.run())
    assert outcomes(again) == ["confirmed", "confirmed"]
    assert len({job.seed for job in executor.heats()}) == len(executor.heats())


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
    executor = Stopwatch(lambda job: 0.1 * (x_of(job) == 1))
    engine = build(task, tmp_path / "run", executor)

    def hook(job: Job) -> None:
        if job.split == "confirm" and x_of(job) == 1:
            engine.stop("stopped by a signal")

    executor.hook = hook
    assert asyncio.run(engine.run()) == "stopped by a signal"
    assert outcomes(engine) == ["confirmed", "open"]
    assert len(executor.heats()) == 3


def climbing(job: Job) -> float:
    """Every program is a little better than the one before."""
    return 0.03 * x_of(job)


def test_heats_use_no_more_than_their_share_while_the_search_goes_on(
    task: Task, tmp_path: Path
) -> None:
    executor = Stopwatch(climbing)
    engine = build(task, tmp_path / "run", executor, evaluations=100)
    asyncio.run(engine.run())
    # The last ones race when the search has ended; up to the last search job the share holds.
    last = max(n for n, job in enumerate(executor.jobs) if job.split == "search")
    for end in range(20, last):
        heats = sum(job.split == "confirm" for job in executor.jobs[:end])
        assert heats <= SHARE * end + 1
    assert len(executor.heats()) <= 4 + SHARE * 100 / (1 - SHARE) + FINALISTS * 4
    store = engine.parts.store
    last_row = store.confirmed()
    assert last_row is not None
    assert x_number(store, last_row.evaluation) == 99


def test_who_is_surest_to_be_ahead_races_first(task: Task, tmp_path: Path) -> None:
    """Of several programs ahead, those behind the new champion never race at all."""
    executor = Stopwatch(lambda job: 0.1 * (x_of(job) in (3, 4, 5)) + 0.3 * (x_of(job) == 6))
    engine = build(task, tmp_path / "run", executor, evaluations=12)
    asyncio.run(engine.run())
    store = engine.parts.store
    raced = [x_number(store, row.evaluation) for row in store.challenges() if row.number]
    assert raced[-1] == 6
    assert store.champion() is not None
    assert len(raced) < 4


class Remembering(Stopwatch):
    """An evaluator that knows programs 4 and 5 to be the same work: it gives both one score."""

    async def evaluate(self, job: Job) -> Evaluation:
        found = await super().evaluate(job)
        if job.split == "search" and x_of(job) in (4, 5):
            return replace(found, metrics={"speedup": 1.2}, intervals={"speedup": (1.17, 1.23)})
        return found


def test_who_has_the_score_of_one_that_raced_does_not_race(task: Task, tmp_path: Path) -> None:
    executor = Remembering()
    engine = build(task, tmp_path / "run", executor, evaluations=12)
    asyncio.run(engine.run())
    store = engine.parts.store
    raced = [x_number(store, row.evaluation) for row in store.challenges() if row.number]
    assert raced.count(4) + raced.count(5) == 1


def test_the_search_leaves_the_best_challenger_its_heats(task: Task, tmp_path: Path) -> None:
    """A budget of CPU time ends with a race, not with a score that nobody looked at again."""
    executor = Stopwatch(climbing)
    engine = build(task, tmp_path / "run", executor, evaluations=1000, cpu_seconds=60.0)
    assert asyncio.run(engine.run()) == "budget used: cpu seconds"
    assert executor.jobs[-1].split == "confirm"
    assert len(executor.jobs) <= 61
    store = engine.parts.store
    last_row = store.confirmed()
    assert last_row is not None
    assert x_number(store, last_row.evaluation) >= 35


def test_the_proposer_of_a_champion_is_credited_when_it_is_crowned(
    task: Task, tmp_path: Path
) -> None:
    engine = build(task, tmp_path / "run", Stopwatch(five_percent_from_ten), evaluations=40)
    asyncio.run(engine.run())
    (share,) = engine.parts.mixture.shares()
    champion = engine.parts.store.champion()
    assert champion is not None
    assert share.improvements == 1
    assert share.gain == pytest.approx(champion.gain)
    (rise,) = engine.rises
    assert rise.program.id == champion.program_id
