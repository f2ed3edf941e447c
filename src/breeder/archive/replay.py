"""Rebuilding an archive from the store, for resuming and for reports."""

from __future__ import annotations

from breeder.archive.islands import IslandArchive
from breeder.archive.records import PlacedRecord
from breeder.archive.store import Store
from breeder.core import Elite, Evaluation, Program, merit


def replay(archive: IslandArchive, store: Store, *, merit_name: str | None = None) -> None:
    """Place everything that the store says was placed, in the same order, into an empty archive.

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
    numbers: list[int] = []
    for row in store.placed():
        value = merit(archive.objectives, row.metrics, merit_name)
        archive.place(_bare(row, value), row.island)
        numbers.append(row.id)

    def load(placement: int) -> Elite:
        row = store.evaluation(numbers[placement])
        value = merit(archive.objectives, row.evaluation.metrics, merit_name)
        return Elite(store.program(row.program_id), row.evaluation, value)

    archive.complete(load)


def _bare(row: PlacedRecord, value: float) -> Elite:
    program = Program(id=row.program_id, files={}, size=row.size)
    return Elite(program, Evaluation(metrics=row.metrics), value)
