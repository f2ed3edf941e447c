"""Opening the store's file, and its errors in one line each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from breeder.archive.migrations import SCHEMA_VERSION, check_version, migrate
from breeder.errors import RunError, StoreError

FILE_NAME = "run.db"
BUSY_SECONDS = 10.0


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the file into a `StoreError`.

    Mistakes of the calling code (a closed connection, a missing column) pass unchanged.
    """
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {_explain(error)}") from None


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn a value that this version cannot have written into a `StoreError`."""
    try:
        yield
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreError(f"{path}: the file is damaged: {error}") from None


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the file for writing, creating it if need be.

    A commit survives the death of this process at any moment. After a power cut the last commits
    may be missing, but the file is intact (WAL with synchronous=NORMAL).

    Raises:
        StoreError: it cannot be opened, or the file system cannot hold a write-ahead log.
    """
    with one_line_errors(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.Error:
            connection.close()
            raise
    if mode != "wal":
        connection.close()
        raise StoreError(f"{path}: this file system supports no write-ahead log; use a local disk")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only, also while another process writes it.

    A file of an older version is copied into memory and migrated there.

    Raises:
        RunError: it holds no run, or is from a newer version.
        StoreError: it cannot be read.
    """
    with one_line_errors(path):
        connection = _open_reader(path)
        try:
            if check_version(connection, path) == SCHEMA_VERSION:
                return connection
            memory = sqlite3.connect(":memory:", isolation_level=None)
            with closing(connection):
                connection.backup(memory)
            migrate(memory)
            memory.execute("PRAGMA query_only = ON")
        except (sqlite3.Error, RunError):
            connection.close()
            raise
    return memory


def _open_reader(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri() + "?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        # Reading a WAL file needs its shared-memory index beside it. On a medium that cannot be
        # written there is none, and nobody writes: without a log the file alone is complete.
        connection = sqlite3.connect(uri + "&immutable=1", uri=True, isolation_level=None)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _explain(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; free some space, then resume"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"the file is damaged: {error}"
    if code == sqlite3.SQLITE_READONLY:
        return "the store is open for reading only"
    if code == sqlite3.SQLITE_IOERR:
        return f"cannot be written or read ({error}); look at the disk, then resume"
    return str(error)
