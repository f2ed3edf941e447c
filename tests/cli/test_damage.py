import json
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder, assert_one_line

COMMANDS = ("show", "diff", "report", "resume", "export")


def words_of(command: str) -> tuple[str, ...]:
    return (command, "run", "--to", "champion") if command == "export" else (command, "run")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes: what a full disk looks like."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def intact(folder: Path) -> bool:
    connection = sqlite3.connect(folder / "run.db")
    try:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    finally:
        connection.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_from_a_newer_version(breeder: Breeder, mine: Path, command: str) -> None:
    connection = sqlite3.connect(mine / "run.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (mine / "run.db").read_bytes()
    assert_one_line(breeder(*words_of(command)), "is a store of version 99, this breeder reads up")
    assert (mine / "run.db").read_bytes() == before
    (row,) = json.loads(breeder("runs", "--json").out)
    assert row["status"] == "unreadable"
    assert "update breeder" in row["problem"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", ["no database", "lost pages", "strange values"])
def test_a_damaged_store(breeder: Breeder, mine: Path, command: str, damage: str) -> None:
    path = mine / "run.db"
    if damage == "no database":
        path.write_bytes(b"these are notes, not a database " * 400)
    elif damage == "lost pages":
        content = path.read_bytes()
        path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    else:
        connection = sqlite3.connect(path)
        connection.execute("UPDATE evaluation SET metrics_json = '{]'")
        connection.commit()
        connection.close()
    before = path.read_bytes()
    outcome = breeder(*words_of(command))
    assert_one_line(outcome, "run.db: ")
    assert "damaged" in outcome.err or "not a database" in outcome.err
    if damage == "no database":
        assert path.read_bytes() == before
    assert not Path("champion").exists()


def test_a_full_disk_stops_the_run_and_damages_nothing(breeder: Breeder, task: Path) -> None:
    with largest_file(250_000):
        outcome = breeder(
            *("run", task, "--out", "run", "--evaluations", "80"), "--slots", "1", "--json"
        )
    assert_one_line(outcome, "run.db: ")
    assert "then resume" in outcome.err
    assert intact(Path("run"))
    kept = json.loads(breeder("show", "run", "--json").out)["evaluations"]
    assert 0 < kept < 80
    done = breeder("resume", "run", "--json")
    assert done.code == 0
    assert json.loads(done.out)["evaluations"] == 80


def test_a_disk_that_is_full_from_the_start(breeder: Breeder, task: Path) -> None:
    with largest_file(8_192):
        assert_one_line(breeder("run", task, "--out", "run", "--sandbox", "none"), "run.db: ")
    once = ("--evaluations", "1", "--sandbox", "none")
    assert breeder("run", task, "--out", "run", *once).code == 0


def test_a_run_whose_medium_cannot_be_written_can_be_read(breeder: Breeder, mine: Path) -> None:
    shutil.copytree(mine, "copy")
    for name in ("run.db-wal", "run.db-shm"):
        (Path("copy") / name).unlink(missing_ok=True)
    assert breeder("show", "copy", "--json").out == breeder("show", mine, "--json").out
