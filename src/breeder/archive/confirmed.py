"""The figures that count of a program of a measured task: those of its fresh heats."""

from __future__ import annotations

import json
from dataclasses import replace

from breeder.archive.records import ChallengeOutcome, EvaluationRecord
from breeder.archive.store import Store
from breeder.core import Direction, Objective, fitness


def confirmed_row(store: Store, row: EvaluationRecord | None) -> EvaluationRecord | None:
    """Return a search evaluation with its confirmed value in place of the one it was chosen by.

    Rows of exact tasks, and of programs that were not confirmed, come back as they are.
    """
    metric = store.measured()
    if row is None or metric is None:
        return row
    for challenge in store.challenges():
        if challenge.evaluation == row.id and challenge.outcome is ChallengeOutcome.CONFIRMED:
            found = challenge.revise(row.evaluation, metric) or row.evaluation
            return replace(
                row, evaluation=found, fitness=fitness(_objectives(store), found.metrics)
            )
    return row


def _objectives(store: Store) -> tuple[Objective, ...]:
    return tuple(
        Objective(o["name"], Direction(o["direction"]), float(o.get("weight", 1.0)))
        for o in json.loads(store.run().task_json)["objective"]
    )
