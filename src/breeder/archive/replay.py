"""Rebuilding an archive from the store, for resuming and for reports."""

from __future__ import annotations

from collections.abc import Iterator

from breeder.archive.entry import fitness_error
from breeder.archive.islands import IslandArchive
from breeder.archive.records import ChallengeOutcome, ChallengeRecord, PlacedRecord
from breeder.archive.store import Store
from breeder.core import Elite, Evaluation, Program, merit


def replay(archive: IslandArchive, store: Store, *, merit_name: str | None = None) -> None:
    """Place everything that the store says was placed, in the same order, into an empty archive.

    What races decided is revised where the run did so: after the last heat of each.

    With the objectives, features and options of the run this gives the run's own archive. Programs
    are placed without their texts; only those that are still kept at the end are read in full.

    Args:
        archive: an empty archive.
        store: the run.
        merit_name: the task's metric of selection, see `core.merit`.

    Raises:
        ValueError: the archive is not empty, or has fewer islands than the run had.
        StoreError: the store is damaged.
    """
    if archive.placements:
        raise ValueError("replay needs an empty archive")
    metric = store.measured()
    numbers: list[int] = []
    revisions: dict[int, ChallengeRecord] = {}

    def elite(program: Program, evaluation: Evaluation) -> Elite:
        value = merit(archive.objectives, evaluation.metrics, merit_name)
        if metric is None:
            return Elite(program, evaluation, value)
        error = fitness_error(archive.objectives, evaluation.intervals, merit_name)
        return Elite(program, evaluation, value, error)

    def load(placement: int) -> Elite:
        row = store.evaluation(numbers[placement])
        evaluation: Evaluation | None = row.evaluation
        if metric is not None and row.id in revisions:
            evaluation = revisions[row.id].revise(row.evaluation, metric)
        return elite(store.program(row.program_id), evaluation or row.evaluation)

    placed: dict[int, PlacedRecord] = {}
    for step in _history(store):
        if isinstance(step, PlacedRecord):
            archive.place(elite(*_bare(step)), step.island)
            numbers.append(step.id)
            placed[step.id] = step
        elif metric is not None and step.evaluation in placed:
            revisions[step.evaluation] = step
            program, evaluation = _bare(placed[step.evaluation])
            revised = step.revise(evaluation, metric)
            archive.revise(program.id, None if revised is None else elite(program, revised))
    archive.complete(load)


def _history(store: Store) -> Iterator[PlacedRecord | ChallengeRecord]:
    """Placements and decided challenges in the order in which the run used them."""
    decided = [
        row
        for row in store.challenges()
        if row.outcome in (ChallengeOutcome.CONFIRMED, ChallengeOutcome.REFUTED)
    ]
    decided.sort(key=lambda row: row.decided or 0, reverse=True)
    for placed in store.placed():
        while decided and (decided[-1].decided or 0) < placed.id:
            yield decided.pop()
        yield placed
    yield from reversed(decided)


def _bare(row: PlacedRecord) -> tuple[Program, Evaluation]:
    program = Program(id=row.program_id, files={}, size=row.size)
    return program, Evaluation(metrics=row.metrics, intervals=row.intervals)
