import io
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from rich.console import Console

from breeder.report.runs import list_runs, render_runs

NOW = datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)


@pytest.fixture
def root(made_up, tmp_path):
    """A folder with a finished run, one with a badge, a newer one, a damaged one and no run."""
    shutil.copytree(made_up(), tmp_path / "a" / "good", ignore=shutil.ignore_patterns("report"))
    shutil.copytree(made_up(sandbox="none", evaluations=30), tmp_path / "open")
    shutil.copytree(made_up(evaluations=30), tmp_path / "newer")
    with closing(sqlite3.connect(tmp_path / "newer" / "run.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.db").write_bytes(b"not a database at all" * 99)
    (tmp_path / "empty").mkdir()
    shutil.copytree(made_up(evaluations=30), tmp_path / "a" / "good" / "baselines" / "random")
    shutil.copytree(made_up(evaluations=30), tmp_path / ".trash" / "old")
    return tmp_path


def test_finds_runs_and_says_what_is_wrong(root, opened):
    found = {run.path.removeprefix(f"{root}/"): run for run in list_runs(root, now=NOW)}
    assert set(found) == {"a/good", "open", "newer", "damaged"}
    good = found["a/good"]
    assert (good.task, good.status, good.evaluations) == (
        "systems/made_up_packing",
        "finished",
        300,
    )
    assert good.best == {"excess": opened().champion().evaluation.metrics["excess"]}
    assert good.age_seconds == 3600.0
    assert found["open"].warnings == ("sandbox: none",)
    for name in ("newer", "damaged"):
        assert found[name].status == "unreadable"
        assert found[name].problem
        assert "\n" not in found[name].problem


def test_unreadable_runs_come_last_and_json_is_plain(root):
    rows = json.loads(json.dumps([run.to_json() for run in list_runs(root, now=NOW)]))
    assert [row["status"] for row in rows] == ["finished", "finished", "unreadable", "unreadable"]


def test_table_fits_80_columns(root):
    console = Console(file=io.StringIO(), width=80, highlight=False)
    render_runs(list_runs(root, now=NOW), console)
    text = console.file.getvalue()
    assert "sandbox: none" in " ".join(text.split())
    assert "unreadable" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_run_itself_as_root(made_up):
    assert [run.status for run in list_runs(made_up())] == ["finished"]


def test_no_runs(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    render_runs(list_runs(tmp_path / "missing"), console)
    assert "no runs here" in console.file.getvalue()
