"""The rows of the store as values; columns are explained in schema.sql."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from breeder.core import Evaluation, Placement


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The `run` row. Fields as in schema.sql; JSON columns as text."""

    breeder_version: str
    task_name: str
    task_kind: str
    task_folder: str
    task_digest: str
    task_json: str
    config_json: str
    sandbox: str
    trusted: bool
    machine_json: str
    started_at: str
    finished_at: str | None = None
    status: str = "running"
    detail: str = ""
    elapsed: float = 0.0
    engine_cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One evaluation as stored. `id` is 0 before it is recorded."""

    program_id: str
    evaluation: Evaluation
    split: str = "search"
    draw: int = -1
    island: int = -1
    fitness: float | None = None
    placement: Placement = Placement.REJECTED
    gain: float = 0.0
    elapsed: float = 0.0
    id: int = 0


@dataclass(frozen=True, slots=True)
class BaselineRecord:
    """One row of `baseline`."""

    name: str
    kind: str
    split: str
    metrics: Mapping[str, float]
    fitness: float | None
    cpu_seconds: float = 0.0
    evaluations: int = 0


@dataclass(frozen=True, slots=True)
class PlacedRecord:
    """What placing needs of a successful search evaluation: no texts, no construction."""

    id: int
    program_id: str
    size: int
    island: int
    fitness: float
    metrics: Mapping[str, float]
