"""Resumption: where a run stands, folded from its store."""

from __future__ import annotations

import math

from breeder.archive.entry import fitness_error
from breeder.archive.records import ChallengeOutcome, ChallengeRecord
from breeder.archive.store import EvaluationRecord, Store
from breeder.core import Elite
from breeder.ledger import Ledger
from breeder.progress import Progress
from breeder.racing import Challenge, Race
from breeder.task import Task


def spent(store: Store) -> tuple[float, float]:
    """Wall seconds and the engine's CPU seconds of earlier sittings, killed ones included."""
    record = store.run()
    engine_cpu = float(store.state("engine_cpu") or b"0")
    elapsed = max((row.elapsed for row in store.evaluations()), default=0.0)
    return max(record.elapsed, elapsed), max(record.engine_cpu, engine_cpu)


def recall(store: Store, ledger: Ledger, task: Task) -> Progress:
    """Return where earlier sittings ended, and charge the ledger with what they used."""
    progress = Progress(draws=int(store.state("draws") or b"0"))
    best = -math.inf
    for row in store.evaluations():
        progress.draws = max(progress.draws, row.draw + 1)
        ledger.evaluations += 1
        ledger.charge("search", row.evaluation.cost)
        progress.promotion.take(task.file.stage, row.evaluation)
        if row.evaluation.failure is not None:
            progress.failures[row.evaluation.failure.kind.value] += 1
        elif row.draw >= 0:
            progress.succeeded += 1
        improved = row.fitness is not None and row.fitness > best
        progress.stagnation = 0 if improved else progress.stagnation + 1
        best = max(best, row.fitness) if row.fitness is not None else best
        if row.draw < 0 and row.fitness is not None:
            progress.start = _elite(store, row)
    champion = store.champion()
    progress.champion = progress.start if champion is None else _elite(store, champion)
    progress.discards.update(store.discards())
    progress.race = Race.of(task)
    if progress.race is not None:
        _recall_race(store, ledger, task, progress, progress.race)
    return progress


def _elite(store: Store, row: EvaluationRecord) -> Elite | None:
    if row.fitness is None:
        return None
    return Elite(store.program(row.program_id), row.evaluation, row.fitness)


def _recall_race(store: Store, ledger: Ledger, task: Task, progress: Progress, race: Race) -> None:
    for heat in store.evaluations(split="confirm"):
        ledger.charge("confirm", heat.evaluation.cost)
        race.heats += 1
    for row in store.challenges():
        challenge = _challenge(store, row, race)
        race.open_for(challenge)
        if row.outcome is ChallengeOutcome.OPEN:
            continue
        del race.open[row.number]
        if row.number:
            race.outcomes[row.outcome] += 1
        if row.outcome is ChallengeOutcome.CONFIRMED and row.number == 0:
            progress.start = _crowned(store, row, task, race)
    last = store.confirmed()
    if last is None:
        return
    progress.champion = _crowned(store, last, task, race)
    race.holder = _challenge(store, last, race)
    race.holder.failure = None  # of a defence: what was confirmed stays so
    decided = max((row.decided or 0 for row in store.challenges()), default=0)
    defences = [heat.id for heat in store.heats(last) if heat.id > decided]
    if under_way := race.under_way():
        under_way.defences = len(defences)
        under_way.last = max([under_way.last or 0, *defences]) or None
    risen = last.decided or 0
    rows = store.evaluations(after=risen if last.number else 0)
    progress.stagnation = sum(row.draw >= 0 for row in rows)


def _challenge(store: Store, row: ChallengeRecord, race: Race) -> Challenge:
    """A challenge with its heats as they were when the store was last written."""
    origin = store.evaluation(row.evaluation)
    program = store.program(origin.program_id)
    challenge = Challenge(row.number, row.evaluation, program, origin.evaluation)
    challenge.against = row.against
    for heat in store.heats(row):
        challenge.last, challenge.failure = heat.id, heat.evaluation.failure
        if heat.evaluation.failure is None:
            challenge.heats.append(race.scale.read(heat.evaluation))
    return challenge


def _crowned(store: Store, row: ChallengeRecord, task: Task, race: Race) -> Elite:
    """The program of a confirmed challenge with its confirmed value."""
    origin = store.evaluation(row.evaluation)
    revised = row.revise(origin.evaluation, race.scale.metric) or origin.evaluation
    error = fitness_error(task.objectives, revised.intervals)
    return Elite(store.program(origin.program_id), revised, task.fitness(revised.metrics), error)
