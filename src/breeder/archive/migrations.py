"""The versions of the store's schema and the way from each to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from breeder.errors import RunError

SCHEMA_VERSION = 3
SCHEMA = Path(__file__).with_name("schema.sql")

MIGRATIONS: Mapping[int, str] = {
    # 1 -> 2: programs in order of arrival, so that adding one appends to the file; keyed by their
    # hash, whole texts were spread over the tree at random.
    1: """
        CREATE TABLE program_2 (
          id TEXT PRIMARY KEY NOT NULL,
          files_json TEXT NOT NULL,
          parents_json TEXT NOT NULL,
          proposer TEXT NOT NULL,
          note TEXT NOT NULL,
          fingerprint TEXT NOT NULL,
          size INTEGER NOT NULL,
          generation INTEGER NOT NULL
        );
        INSERT INTO program_2
          SELECT id, files_json, parents_json, proposer, note, fingerprint, size, generation
          FROM program LEFT JOIN (
            SELECT program_id, min(id) AS first FROM evaluation GROUP BY program_id
          ) ON program_id = id
          ORDER BY first;
        DROP TABLE program;
        ALTER TABLE program_2 RENAME TO program;
    """,
    # 2 -> 3: measured tasks: intervals of metrics, and the race for champion.
    2: """
        ALTER TABLE evaluation ADD COLUMN intervals_json TEXT NOT NULL DEFAULT '{}';
        CREATE TABLE challenge (
          number INTEGER PRIMARY KEY,
          evaluation INTEGER NOT NULL REFERENCES evaluation (id),
          outcome TEXT NOT NULL,
          against REAL,
          value REAL,
          low REAL,
          high REAL,
          heats INTEGER NOT NULL,
          decided INTEGER,
          elapsed REAL NOT NULL
        );
    """,
}


def version(connection: sqlite3.Connection) -> int:
    """The schema version of an open file; 0 when it holds nothing."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's version if this breeder can read it.

    Raises:
        RunError: the file holds no run, or is from a newer version.
    """
    found = version(connection)
    if found == 0:
        raise RunError(f"{path}: holds no run")
    if found > SCHEMA_VERSION:
        raise RunError(
            f"{path}: is a store of version {found}, this breeder reads up to version "
            f"{SCHEMA_VERSION}; update breeder"
        )
    return found


def create_schema(connection: sqlite3.Connection) -> bool:
    """Lay out an empty store. Leaves the transaction open for the caller to commit.

    A run that failed before its first evaluation makes way: there is nothing to lose.

    Returns:
        False, with nothing changed, where another run began, goes on, or is of another version.
    """
    if version(connection):
        return _clear_unbegun(connection)
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{SCHEMA.read_text(encoding='utf-8')}\n"
        f"PRAGMA user_version = {SCHEMA_VERSION};"
    )
    return True


def _clear_unbegun(connection: sqlite3.Connection) -> bool:
    if version(connection) != SCHEMA_VERSION:
        return False
    connection.execute("BEGIN IMMEDIATE")
    unbegun = connection.execute(
        "SELECT NOT EXISTS (SELECT 1 FROM evaluation) AND EXISTS"
        " (SELECT 1 FROM run WHERE status = 'failed')"
    ).fetchone()[0]
    if not unbegun:
        connection.execute("ROLLBACK")
        return False
    for table in ("discard", "baseline", "state", "program", "run"):
        connection.execute(f"DELETE FROM {table}")
    return True


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an older store to `SCHEMA_VERSION`, one transaction per step."""
    for step in range(version(connection), SCHEMA_VERSION):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{MIGRATIONS[step]}\nPRAGMA user_version = {step + 1};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
