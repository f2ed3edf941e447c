import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from breeder.archive import migrations
from breeder.archive.store import FILE_NAME, SCHEMA_VERSION, BaselineRecord, RunRecord, Store
from breeder.core import FailureKind, Placement, Program
from breeder.errors import StoreError

GOLDEN = Path(__file__).parents[1] / "golden" / "store_v1.db"


@pytest.fixture
def folder(tmp_path):
    shutil.copy(GOLDEN, tmp_path / FILE_NAME)
    return tmp_path


def file_version(folder):
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return migrations.version(connection)


def columns(folder):
    """Every table's columns and every index's, as SQLite understands them."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        names = connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
        pragma = {"table": "table_info", "index": "index_info"}
        return {
            name: connection.execute(f"PRAGMA {pragma[kind]}('{name}')").fetchall()
            for kind, name in names
        }


def assert_golden_content(store):
    assert store.run().task_name == "systems/online_bin_packing"
    assert (store.run().detail, store.run().elapsed) == ("Ctrl-C", 12.5)
    assert store.program("aaaa") == Program(
        id="aaaa",
        files={"priority.py": "def priority(item):\n    return 2.0\n"},
        parents=("beef", "f00d"),
        proposer="recombination",
        note="grafted — ζ",
        fingerprint="print-aaaa",
        size=13,
        generation=2,
    )
    assert [one.id for one in store.lineage("aaaa")] == ["f00d", "beef", "aaaa"]
    start, champion, third = store.evaluations()
    assert store.start() == start
    assert store.champion() == champion
    assert champion.evaluation.construction == b"\x93\x01\x02\x03"
    assert champion.evaluation.artifacts == {"worst": "instance 3"}
    assert (champion.placement, champion.gain) == (Placement.IMPROVED, 1.5)
    assert third.evaluation.failure is not None
    assert third.evaluation.failure.kind is FailureKind.CPU_TIME
    held_out = store.held_out("beef")
    assert held_out is not None
    assert (held_out.fitness, held_out.evaluation.seed) == (2.25, 45)
    assert store.discards() == {("syntax", "duplicate"): 4}
    baseline = BaselineRecord("best fit", "task", "held_out", {"excess": -3.0}, -3.0)
    assert store.baselines() == (baseline,)
    assert store.state("draws") == b"2"


def test_there_is_a_way_from_every_version():
    assert sorted(migrations.MIGRATIONS) == list(range(1, SCHEMA_VERSION))


def test_an_older_store_is_migrated_when_written(folder):
    assert file_version(folder) == 1
    with Store.open(folder) as store:
        assert_golden_content(store)
        old = next(store.evaluations())
        new = Program("new", {"priority.py": ""}, ("beef",))
        number = store.record(new, type(old)(program_id="new", evaluation=old.evaluation))
        assert number == 5
    assert file_version(folder) == SCHEMA_VERSION
    with Store.open(folder) as store:
        found = [row.program_id for row in store.evaluations()]
        assert found == ["f00d", "beef", "aaaa", "new"]


def test_a_migrated_store_looks_like_a_new_one(folder, tmp_path_factory):
    Store.open(folder).close()
    fresh = tmp_path_factory.mktemp("fresh")
    run = RunRecord("", "", "", "", "", "", "", "", True, "", "")
    Store.create(fresh, run).close()
    assert columns(folder) == columns(fresh)


def test_a_store_of_version_two_is_read_and_migrated(folder):
    """As the second version wrote it: the first one's content in the second one's tables."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        connection.executescript(migrations.MIGRATIONS[1])
        connection.execute("PRAGMA user_version = 2")
    for readonly in (True, False):
        with Store.open(folder, readonly=readonly) as store:
            assert_golden_content(store)
            assert (store.measured(), store.challenges(), store.confirmed()) == (None, (), None)
            assert {len(row.evaluation.intervals) for row in store.evaluations()} == {0}
    assert file_version(folder) == SCHEMA_VERSION


def test_an_older_store_is_read_without_being_changed(folder):
    before = (folder / FILE_NAME).read_bytes()
    with Store.open(folder, readonly=True) as store:
        assert_golden_content(store)
        with pytest.raises(StoreError, match="reading only"):
            store.save_state({"a": b""})
    assert (folder / FILE_NAME).read_bytes() == before


def test_a_migration_that_fails_half_way_leaves_the_old_version(folder, monkeypatch):
    torn = {1: "DROP TABLE program; INSERT INTO nowhere VALUES (1);"}
    monkeypatch.setattr(migrations, "MIGRATIONS", torn)
    with pytest.raises(StoreError, match="nowhere"):
        Store.open(folder)
    monkeypatch.undo()
    assert file_version(folder) == 1
    with Store.open(folder) as store:
        assert_golden_content(store)
