"""The store: one SQLite file per run (`RUN/run.db`), WAL, one writer, any number of readers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from breeder.archive import rows, statements
from breeder.archive.connection import (
    FILE_NAME,
    connect_reader,
    connect_writer,
    decoding,
    one_line_errors,
)
from breeder.archive.lock import WriterLock
from breeder.archive.migrations import (
    SCHEMA_VERSION,
    check_version,
    create_schema,
    migrate,
)
from breeder.archive.records import (
    BaselineRecord,
    ChallengeOutcome,
    ChallengeRecord,
    EvaluationRecord,
    PlacedRecord,
    RunRecord,
)
from breeder.core import Program
from breeder.errors import RunError, StoreError

__all__ = [
    "FILE_NAME",
    "SCHEMA_VERSION",
    "BaselineRecord",
    "ChallengeOutcome",
    "ChallengeRecord",
    "EvaluationRecord",
    "PlacedRecord",
    "RunRecord",
    "Store",
]

PAGE = 32  # evaluations per read: bounds memory and never holds up the writer's checkpoints


class Store:
    """Reads and writes one run. Every write method commits before it returns, or changes nothing.

    For use by one thread. Made by `create` and `open`; usable as a context manager.

    Raises (all methods): StoreError, one line, when the disk is full or the file is damaged;
    ValueError when asked to write a number that is not finite.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: WriterLock | None = None
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def create(cls, folder: Path, run: RunRecord) -> Store:
        """Create `folder/run.db` and take the writer's lock; a run that failed unbegun makes way.

        Raises:
            RunError: the folder already holds a run, or another process is writing there.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot be created: {error.strerror}") from None
        store = cls._writer(folder)
        try:
            with one_line_errors(store.path):
                if not create_schema(store._connection):
                    raise RunError(f"{folder}: already holds a run; resume it or name another")
                store._connection.execute(statements.INSERT_RUN, (1, *rows.encode_run(run)))
                store._connection.execute("COMMIT")
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, folder: Path, *, readonly: bool = False) -> Store:
        """Open an existing run; migrate an older schema when writing, in memory when reading.

        Raises:
            RunError: no run there, a store from a newer version, or another writer is at work.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise RunError(f"{folder}: holds no run ({FILE_NAME} is missing)")
        if readonly:
            return cls(path, connect_reader(path))
        store = cls._writer(folder)
        try:
            with one_line_errors(path):
                check_version(store._connection, path)
                migrate(store._connection)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def _writer(cls, folder: Path) -> Store:
        lock = WriterLock(folder)
        try:
            return cls(folder / FILE_NAME, connect_writer(folder / FILE_NAME), lock)
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Release the lock and close the file. Safe to call twice."""
        try:
            self._connection.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- writing -------------------------------------------------------------------------------

    def record(
        self,
        program: Program,
        row: EvaluationRecord,
        *,
        challenge: ChallengeRecord | None = None,
    ) -> int:
        """Commit an evaluation with its program (inserted if new) and return the row's id.

        A `challenge` is opened with it; its `evaluation` is set to that id.
        """
        values = rows.encode_evaluation(row)
        text = rows.encode_program(program)
        with self._transaction() as connection:
            connection.execute(statements.INSERT_PROGRAM, text)
            number = int(connection.execute(statements.INSERT_EVALUATION, values).lastrowid or 0)
            if challenge is not None:
                opened = rows.encode_challenge(replace(challenge, evaluation=number))
                connection.execute(statements.WRITE_CHALLENGE, opened)
        return number

    def challenge(self, row: ChallengeRecord) -> None:
        """Insert or replace a challenge by an evaluation that was recorded before."""
        with self._transaction() as connection:
            connection.execute(statements.WRITE_CHALLENGE, rows.encode_challenge(row))

    def conclude(self, row: ChallengeRecord, *, gain: float) -> None:
        """Replace an open challenge by its outcome, and set the gain of its search evaluation."""
        values = rows.encode_challenge(row)
        with self._transaction() as connection:
            connection.execute(statements.WRITE_CHALLENGE, values)
            connection.execute(
                "UPDATE evaluation SET gain = ? WHERE id = ?",
                (rows.finite("gain", gain), row.evaluation),
            )

    def save_state(self, states: Mapping[str, bytes]) -> None:
        """Insert or replace entries of `state`."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", states.items()
            )

    def save_discards(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Set the count of each (proposer, reason)."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO discard (proposer, reason, count) VALUES (?, ?, ?)",
                [(*key, count) for key, count in counts.items()],
            )

    def save_baseline(self, row: BaselineRecord) -> None:
        """Insert or replace a baseline."""
        values = rows.encode_baseline(row)
        with self._transaction() as connection:
            connection.execute(statements.WRITE_BASELINE, values)

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
        with self._transaction() as connection:
            connection.execute(
                "UPDATE run SET status = ?, detail = ?, finished_at = ?, elapsed = ?,"
                " engine_cpu = ?",
                (status, detail, finished_at, elapsed, engine_cpu),
            )

    def save_config(self, config_json: str) -> None:
        """Replace the configuration, as when a resumed run is given a larger budget."""
        with self._transaction() as connection:
            connection.execute("UPDATE run SET config_json = ?", (config_json,))

    # ---- reading -------------------------------------------------------------------------------

    def run(self) -> RunRecord:
        """The run row."""
        row = self._one(f"SELECT {rows.RUN_COLUMNS} FROM run WHERE id = 1")
        if row is None:
            raise StoreError(f"{self.path}: the file is damaged: the run row is missing")
        return rows.decode_run(row)

    def state(self, key: str) -> bytes:
        """One entry of `state`; `b""` when absent."""
        row = self._one("SELECT value FROM state WHERE key = ?", key)
        return bytes(row[0]) if row else b""

    def discards(self) -> dict[tuple[str, str], int]:
        """All counts of `discard`."""
        found = self._all("SELECT proposer, reason, count FROM discard ORDER BY proposer, reason")
        return {(proposer, reason): count for proposer, reason, count in found}

    def baselines(self) -> tuple[BaselineRecord, ...]:
        """All baselines, ordered by kind, name, split."""
        query = f"SELECT {rows.BASELINE_COLUMNS} FROM baseline ORDER BY kind, name, split"
        found = self._all(query)
        with decoding(self.path):
            return tuple(map(rows.decode_baseline, found))

    def program(self, program_id: str) -> Program:
        """One program. Raises KeyError."""
        row = self._one(f"SELECT {rows.PROGRAM_COLUMNS} FROM program WHERE id = ?", program_id)
        if row is None:
            raise KeyError(program_id)
        with decoding(self.path):
            return rows.decode_program(row)

    def evaluation(self, number: int) -> EvaluationRecord:
        """The evaluation with this id. Raises KeyError."""
        row = self._evaluation("WHERE id = ?", number)
        if row is None:
            raise KeyError(number)
        return row

    def searched(self, program_id: str) -> EvaluationRecord | None:
        """The first evaluation of a program on the search split, if there is one."""
        return self._evaluation(
            "WHERE program_id = ? AND split = 'search' ORDER BY id LIMIT 1", program_id
        )

    def start(self) -> EvaluationRecord | None:
        """The evaluation of the initial program on the search split, if there is one."""
        return self._evaluation("WHERE +split = 'search' AND draw = -1 ORDER BY id LIMIT 1")

    def champion(self) -> EvaluationRecord | None:
        """The successful search evaluation of highest fitness; the oldest on equality.

        Of a measured task the one by which the last confirmed challenger challenged, or None: the
        figures that count are those of its challenge (`confirmed`), not the ones it was chosen by.
        """
        if self.measured() is not None:
            last = self.confirmed()
            return self.evaluation(last.evaluation) if last and last.number else None
        return self._evaluation(
            "WHERE id = (SELECT min(id) FROM evaluation WHERE split = 'search' AND fitness ="
            " (SELECT max(fitness) FROM evaluation WHERE split = 'search'))"
        )

    def measured(self) -> str | None:
        """Name of the metric that the task measures; None for exact tasks."""
        task = self.run().task_json
        with decoding(self.path):
            section = json.loads(task or "{}").get("measured")
        return section["metric"] if section else None

    def challenges(self) -> tuple[ChallengeRecord, ...]:
        """Every challenge in order of number; the start is number 0."""
        found = self._all(statements.SELECT_CHALLENGES)
        with decoding(self.path):
            return tuple(map(rows.decode_challenge, found))

    def confirmed(self) -> ChallengeRecord | None:
        """The challenge of who is champion now: the last confirmed one, the start's included."""
        row = self._one(statements.SELECT_CONFIRMED)
        with decoding(self.path):
            return None if row is None else rows.decode_challenge(row)

    def heats(self, challenge: ChallengeRecord) -> tuple[EvaluationRecord, ...]:
        """The evaluations on fresh samples that belong to a challenge, in order."""
        found = self._all(statements.SELECT_HEATS, challenge.evaluation)
        with decoding(self.path):
            return tuple(map(rows.decode_evaluation, found))

    def held_out(self, program_id: str) -> EvaluationRecord | None:
        """The newest held-out evaluation of a program."""
        return self._evaluation(
            "WHERE program_id = ? AND split = 'held_out' ORDER BY id DESC LIMIT 1", program_id
        )

    def evaluations(self, *, split: str = "search", after: int = 0) -> Iterator[EvaluationRecord]:
        """Evaluations of a split with id > `after`, in order of id, complete."""
        # `+split` keeps SQLite from sorting the whole split for every page.
        query = (
            f"{statements.SELECT_EVALUATION} WHERE id > ? AND +split = ? ORDER BY id LIMIT {PAGE}"
        )
        while page := self._all(query, after, split):
            for row in page:
                with decoding(self.path):
                    record = rows.decode_evaluation(row)
                yield record
            after = page[-1][0]

    def placed(self) -> Iterator[PlacedRecord]:
        """What was offered to islands, in order, without texts: enough to place it again."""
        for row in self._all(statements.SELECT_PLACED):
            with decoding(self.path):
                placed = rows.decode_placed(row)
            yield placed

    def fingerprints(self) -> set[str]:
        """The fingerprints of all programs."""
        return {row[0] for row in self._all("SELECT fingerprint FROM program")}

    def counts(self) -> dict[str, int]:
        """`evaluations`, `succeeded`, and one entry `failed:KIND` per kind of failure (search)."""
        found = self._all(
            "SELECT failure_kind, count(*) FROM evaluation WHERE split = 'search'"
            " GROUP BY failure_kind ORDER BY failure_kind"
        )
        failed = {f"failed:{kind}": count for kind, count in found if kind is not None}
        total = sum(count for _, count in found)
        return {"evaluations": total, "succeeded": total - sum(failed.values()), **failed}

    def costs(self) -> dict[str, tuple[float, float, int, float]]:
        """Phase (`search`, `held_out`, `confirm`, ...) -> (CPU s, wall s, tokens, currency)."""
        found = self._all(
            "SELECT split, sum(cpu_seconds), sum(wall_seconds), sum(tokens), sum(currency)"
            " FROM evaluation GROUP BY split"
        )
        nothing = {"search": (0.0, 0.0, 0, 0.0), "held_out": (0.0, 0.0, 0, 0.0)}
        return {**nothing, **{row[0]: (row[1], row[2], row[3], row[4]) for row in found}}

    def lineage(self, program_id: str) -> tuple[Program, ...]:
        """Main-parent chain from the start to the program, both included. Raises KeyError."""
        chain = {program_id: self.program(program_id)}
        parents = chain[program_id].parents
        while parents and parents[0] not in chain:
            try:
                program = self.program(parents[0])
            except KeyError:
                break
            chain[program.id], parents = program, program.parents
        return tuple(reversed(chain.values()))

    # ---- plumbing ------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with one_line_errors(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back on its own.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with one_line_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        found = self._all(query, *values)
        return found[0] if found else None

    def _evaluation(self, condition: str, *values: object) -> EvaluationRecord | None:
        row = self._one(f"{statements.SELECT_EVALUATION} {condition}", *values)
        with decoding(self.path):
            return None if row is None else rows.decode_evaluation(row)
