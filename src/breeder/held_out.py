"""What a run owes its user after the search: evaluations where selection never looked."""

from __future__ import annotations

from breeder.archive.store import BaselineRecord, EvaluationRecord
from breeder.executors.executor import Executor, Job
from breeder.progress import Parts
from breeder.task import Task


async def evaluate_all_held_out(executor: Executor, parts: Parts) -> None:
    """Evaluate start and champion on held-out data, and the task's baselines on both splits."""
    store, task = parts.store, parts.task
    for split in ("search", "held_out"):
        if split == "held_out" and task.file.held_out is None:
            continue
        for name, metrics in (await executor.baselines(split)).items():
            value = _fitness(task, metrics)
            store.save_baseline(BaselineRecord(name, "task", split, metrics, value))
    if task.file.held_out is None:
        return
    rows = [row for row in (store.start(), store.champion()) if row is not None]
    for row in {row.program_id: row for row in rows}.values():
        if store.held_out(row.program_id) is None:
            await evaluate_held_out(executor, parts, row)


async def evaluate_held_out(executor: Executor, parts: Parts, row: EvaluationRecord) -> None:
    """Evaluate one program on the held-out split and record it."""
    program = parts.store.program(row.program_id)
    job = Job(
        program,
        split="held_out",
        construction=row.evaluation.construction,
        seed=row.evaluation.seed,
    )
    evaluation = await executor.evaluate(job)
    parts.ledger.charge("held_out", evaluation.cost)
    value = None if evaluation.failure else _fitness(parts.task, evaluation.metrics)
    parts.store.record(
        program,
        EvaluationRecord(
            program_id=program.id,
            evaluation=evaluation,
            split="held_out",
            fitness=value,
            elapsed=parts.ledger.elapsed(),
        ),
    )


def _fitness(task: Task, metrics: object) -> float | None:
    """Fitness where the split reports every objective, else None."""
    try:
        return task.fitness(metrics)  # type: ignore[arg-type]
    except KeyError:
        return None
