"""Rebuilding an archive from the store, for resuming and for reports."""

from __future__ import annotations

from breeder.archive.islands import IslandArchive
from breeder.archive.records import PlacedRecord
from breeder.archive.store import Store
from breeder.core import Elite, Evaluation, Program


def replay(archive: IslandArchive, store: Store) -> None:
    """Place everything that the store says was placed, in the same order, into an empty archive.

    With the objectives, features and options of the run this gives the run's own archive. Programs
    are placed without their texts; only those that are still kept at the end are read in full.

    Raises:
        ValueError: the archive is not empty, or has fewer islands than the run had.
        StoreError: the store is damaged.
    """
    if archive.placements:
        raise ValueError("replay needs an empty archive")
    numbers: list[int] = []
    for row in store.placed():
        archive.place(_bare(row), row.island)
        numbers.append(row.id)

    def load(placement: int) -> Elite:
        row = store.evaluation(numbers[placement])
        return Elite(store.program(row.program_id), row.evaluation, row.fitness or 0.0)

    archive.complete(load)


def _bare(row: PlacedRecord) -> Elite:
    program = Program(id=row.program_id, files={}, size=row.size)
    return Elite(program, Evaluation(metrics=row.metrics), row.fitness)
