"""The store: one SQLite file per run (`RUN/run.db`), WAL, one writer, any number of readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from breeder.core import Evaluation, Placement, Program

SCHEMA_VERSION = 1
FILE_NAME = "run.db"


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


class Store:
    """Reads and writes one run. Every write method commits before it returns.

    Raises (all methods): StoreError, one line, when the disk is full or the file is damaged.
    """

    @classmethod
    def create(cls, folder: Path, run: RunRecord) -> Store:
        """Create `folder/run.db` and take the writer's lock.

        Raises:
            RunError: the folder already holds a run, or another process is writing there.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, folder: Path, *, readonly: bool = False) -> Store:
        """Open an existing run; migrate an older schema when writing, in memory when reading.

        Raises:
            RunError: no run there, a store from a newer version, or another writer is at work.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release the lock and close the file. Safe to call twice."""
        raise NotImplementedError

    def record(self, program: Program, row: EvaluationRecord) -> int:
        """Commit an evaluation with its program (inserted if new) and return the row's id."""
        raise NotImplementedError

    def save_state(self, states: Mapping[str, bytes]) -> None:
        """Insert or replace entries of `state`."""
        raise NotImplementedError

    def state(self, key: str) -> bytes:
        """One entry of `state`; `b""` when absent."""
        raise NotImplementedError

    def save_discards(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Set the count of each (proposer, reason)."""
        raise NotImplementedError

    def discards(self) -> dict[tuple[str, str], int]:
        """All counts of `discard`."""
        raise NotImplementedError

    def save_baseline(self, row: BaselineRecord) -> None:
        """Insert or replace a baseline."""
        raise NotImplementedError

    def baselines(self) -> tuple[BaselineRecord, ...]:
        """All baselines, ordered by kind, name, split."""
        raise NotImplementedError

    def update_run(
        self,
        *,
        status: str,
        detail: str,
        finished_at: str | None,
        elapsed: float,
        engine_cpu: float,
    ) -> None:
        """Update the run's status."""
        raise NotImplementedError

    def run(self) -> RunRecord:
        """The run row."""
        raise NotImplementedError

    def program(self, program_id: str) -> Program:
        """One program. Raises KeyError."""
        raise NotImplementedError

    def start(self) -> EvaluationRecord | None:
        """The evaluation of the initial program on the search split, if there is one."""
        raise NotImplementedError

    def champion(self) -> EvaluationRecord | None:
        """The successful search evaluation of highest fitness; the oldest on equality."""
        raise NotImplementedError

    def held_out(self, program_id: str) -> EvaluationRecord | None:
        """The newest held-out evaluation of a program."""
        raise NotImplementedError

    def evaluations(self, *, split: str = "search", after: int = 0) -> Iterator[EvaluationRecord]:
        """Evaluations of a split with id > `after`, in order of id, complete."""
        raise NotImplementedError

    def fingerprints(self) -> set[str]:
        """The fingerprints of all programs."""
        raise NotImplementedError

    def counts(self) -> dict[str, int]:
        """`evaluations`, `succeeded`, and one entry `failed:KIND` per kind of failure (search)."""
        raise NotImplementedError

    def costs(self) -> dict[str, tuple[float, float, int, float]]:
        """Phase (`search`, `held_out`) -> (CPU s, wall s, tokens, currency), summed."""
        raise NotImplementedError

    def lineage(self, program_id: str) -> tuple[Program, ...]:
        """Main-parent chain from the start to the program, both included."""
        raise NotImplementedError
