"""The figures of a run, the one source for `show`, `show --json` and the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from breeder.archive.store import EvaluationRecord, Store
from breeder.core import Cost
from breeder.report import verdict
from breeder.report.models import proposing_cost, read_models
from breeder.report.race import summarise_race
from breeder.report.records import BaselineSummary, ProgramSummary, ProposerSummary, RunSummary
from breeder.report.run_data import RunData, read_run
from breeder.report.terminal import render

__all__ = ["RunSummary", "render", "summarise", "summarise_data"]


def summarise(store: Store) -> RunSummary:
    """Work out the figures of a run from its store.

    Raises:
        StoreError: the store is damaged.
    """
    return summarise_data(store, read_run(store))


def summarise_data(store: Store, data: RunData) -> RunSummary:
    """As `summarise`, for a run that has been read already."""
    run, discards = data.run, store.discards()
    config: Mapping[str, Any] = json.loads(run.config_json or "{}")
    failures = Counter(p.failure for p in data.points if p.failure)
    reasons: Counter[str] = Counter()
    for (_, reason), count in discards.items():
        reasons[reason] += count
    return RunSummary(
        status=run.status,
        detail=run.detail,
        task=run.task_name,
        task_kind=run.task_kind,
        sandbox=run.sandbox,
        trusted=run.trusted,
        warnings=verdict.badges(run, data.champion),
        objectives=tuple(
            {"name": o.name, "direction": str(o.direction), "weight": o.weight}
            for o in data.objectives
        ),
        start=_program(store, data, data.start),
        champion=_program(store, data, data.champion),
        improvement=verdict.improvement(data),
        held_out_verdict=verdict.held_out_verdict(data),
        baseline_verdict=verdict.baseline_verdict(data),
        evaluations=len(data.points),
        succeeded=sum(p.fitness is not None for p in data.points),
        failures=dict(failures.most_common()),
        discards=dict(reasons.most_common()),
        cost=_costs(store, data),
        proposers=_proposers(data, discards),
        baselines=_baselines(data),
        elapsed=data.elapsed,
        budget=_budget(config, data.task),
        config=config,
        machine=json.loads(run.machine_json or "{}"),
        started_at=run.started_at,
        finished_at=run.finished_at,
        breeder_version=run.breeder_version,
        race=summarise_race(store, data),
        models=read_models(store),
    )


def _program(store: Store, data: RunData, row: EvaluationRecord | None) -> ProgramSummary | None:
    if row is None:
        return None
    program = store.program(row.program_id)
    failure = row.evaluation.failure
    held = data.held_out.get(row.program_id)
    held_failure = held.evaluation.failure if held else None
    return ProgramSummary(
        id=program.id,
        files=dict(program.files),
        metrics=dict(row.evaluation.metrics),
        fitness=row.fitness,
        trusted=row.evaluation.trusted,
        failure=str(failure) if failure else "",
        proposer=program.proposer,
        generation=program.generation,
        evaluation=row.id,
        held_out=dict(held.evaluation.metrics) if held else None,
        held_out_failure=str(held_failure) if held_failure else "",
        intervals=dict(row.evaluation.intervals),
    )


def _costs(store: Store, data: RunData) -> dict[str, Cost]:
    costs = {phase: Cost(*numbers) for phase, numbers in store.costs().items()}
    costs.setdefault("search", Cost())
    if (team := read_models(store)) is not None:
        costs["propose"] = proposing_cost(team)
    # A matched baseline has a row per split; both state what its search spent.
    spent = sum(b.cpu_seconds for b in data.baselines if b.split == "search")
    if spent:
        costs["baselines"] = Cost(cpu_seconds=spent)
    costs["engine"] = Cost(cpu_seconds=data.run.engine_cpu, wall_seconds=data.elapsed)
    return costs


def _proposers(
    data: RunData, discards: Mapping[tuple[str, str], int]
) -> tuple[ProposerSummary, ...]:
    made = [p for p in data.points if p.proposer != "initial"]
    names = Counter(p.proposer for p in made)
    for name, _ in discards:
        names.setdefault(name, 0)
    rows = []
    for name, count in names.most_common():
        own = [p for p in made if p.proposer == name]
        rows.append(
            ProposerSummary(
                name=name,
                evaluations=count,
                succeeded=sum(p.fitness is not None for p in own),
                placed=sum(bool(p.placement) for p in own),
                improvements=sum(p.gain > 0 for p in own),
                gain=sum(p.gain for p in own),
                share=count / len(made) if made else 0.0,
                cpu_seconds=sum(p.cpu_seconds for p in own),
                discarded={r: n for (who, r), n in discards.items() if who == name},
            )
        )
    return tuple(rows)


def _baselines(data: RunData) -> tuple[BaselineSummary, ...]:
    matching = {
        (b.name, b.kind, b.split)
        for split in ("search", "held_out")
        for b in verdict.matching_baselines(data, split)
    }
    return tuple(
        BaselineSummary(
            name=b.name,
            kind=b.kind,
            split=b.split,
            metrics=dict(b.metrics),
            fitness=verdict.baseline_fitness(data, b),
            cpu_seconds=b.cpu_seconds,
            evaluations=b.evaluations,
            reaches_champion=(b.name, b.kind, b.split) in matching,
        )
        for b in data.baselines
    )


def _budget(config: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, float]:
    # The configuration of a run holds the limits in force; the task's are the fallback.
    configured = {k: v for k, v in config.get("budget", {}).items() if v is not None}
    stated = {k: v for k, v in task.get("budget", {}).items() if v is not None}
    return configured or stated
