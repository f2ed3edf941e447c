"""RunData: one pass over a store, kept light, from which every chart and table is drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from breeder.archive.confirmed import confirmed_row
from breeder.archive.store import (
    BaselineRecord,
    ChallengeRecord,
    EvaluationRecord,
    RunRecord,
    Store,
)
from breeder.core import Direction, Objective, Placement, Program


@dataclass(frozen=True, slots=True)
class Point:
    """One search evaluation without its texts.

    Attributes:
        index: position among the search evaluations, from 1.
        program_id: the program that was evaluated.
        proposer: who made it; `initial` for the start.
        size: syntax-tree nodes in the evolvable regions.
        island: island it was offered to, -1 when it was not.
        metrics: name -> number, partial on failure.
        fitness: higher is better; None on failure.
        failure: kind of failure, empty on success.
        placement: what the archive did with it.
        gain: rise of the best fitness that it brought.
        cpu_seconds: what it cost.
        elapsed: run time in seconds at which it was committed.
        evaluation: id of its row in the store.
    """

    index: int
    program_id: str
    proposer: str
    size: int
    island: int
    metrics: Mapping[str, float]
    fitness: float | None
    failure: str
    placement: Placement
    gain: float
    cpu_seconds: float
    elapsed: float
    evaluation: int


@dataclass(frozen=True)
class RunData:
    """Everything that the page shows.

    Attributes:
        run: the run row.
        task: the task file as data.
        points: every search evaluation, in order.
        start: evaluation of the initial program, if there is one.
        champion: best evaluation, if there is one; of a measured task the one of the last confirmed
            challenger. There start and champion carry their confirmed values, see `confirmed_row`.
        held_out: program id -> newest held-out evaluation, for start and champion.
        baselines: as stored.
        lineage: main-parent chain from the start to the champion, both included.
        measured: name of the metric that the task measures; None for exact tasks.
        challenges: everyone who raced for champion of a measured task, the start first.
    """

    run: RunRecord
    task: Mapping[str, Any]
    points: tuple[Point, ...]
    start: EvaluationRecord | None
    champion: EvaluationRecord | None
    held_out: Mapping[str, EvaluationRecord]
    baselines: tuple[BaselineRecord, ...]
    lineage: tuple[Program, ...]
    measured: str | None = None
    challenges: tuple[ChallengeRecord, ...] = ()

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """The task's objectives."""
        return objectives_of(self.task)

    @cached_property
    def fitness_of(self) -> Mapping[str, float]:
        """Program id -> its best fitness on the search split."""
        best: dict[str, float] = {}
        for point in self.points:
            if point.fitness is not None:
                known = best.get(point.program_id)
                best[point.program_id] = (
                    point.fitness if known is None else max(known, point.fitness)
                )
        return best

    @property
    def elapsed(self) -> float:
        """Run time in seconds; that of the last evaluation while the run row lags behind."""
        return max(self.run.elapsed, self.points[-1].elapsed if self.points else 0.0)


def objectives_of(task: Mapping[str, Any]) -> tuple[Objective, ...]:
    """Return the objectives of a task file given as data."""
    return tuple(
        Objective(o["name"], Direction(o["direction"]), float(o.get("weight", 1.0)))
        for o in task.get("objective", ())
    )


def read_run(store: Store) -> RunData:
    """Read a store completely, artifacts and constructions of single evaluations left out.

    Raises:
        StoreError: the store is damaged.
    """
    run = store.run()
    start, champion = (confirmed_row(store, row) for row in (store.start(), store.champion()))
    ids = {row.program_id for row in (start, champion) if row is not None}
    held = {key: row for key in ids if (row := store.held_out(key)) is not None}
    return RunData(
        run=run,
        task=json.loads(run.task_json),
        points=_points(store),
        start=start,
        champion=champion,
        held_out=held,
        baselines=store.baselines(),
        lineage=store.lineage(champion.program_id) if champion else (),
        measured=store.measured(),
        challenges=store.challenges(),
    )


def _points(store: Store) -> tuple[Point, ...]:
    known: dict[str, tuple[str, int]] = {}
    points: list[Point] = []
    for index, row in enumerate(store.evaluations(), start=1):
        if row.program_id not in known:
            program = store.program(row.program_id)
            known[row.program_id] = (program.proposer, program.size)
        proposer, size = known[row.program_id]
        failure = row.evaluation.failure
        points.append(
            Point(
                index=index,
                program_id=row.program_id,
                proposer=proposer,
                size=size,
                island=row.island,
                metrics=row.evaluation.metrics,
                fitness=row.fitness,
                failure=str(failure.kind) if failure else "",
                placement=row.placement,
                gain=row.gain,
                cpu_seconds=row.evaluation.cost.cpu_seconds,
                elapsed=row.elapsed,
                evaluation=row.id,
            )
        )
    return tuple(points)
