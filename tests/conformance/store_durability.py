"""What the store must survive. Subclass `DurabilityConformance`, give `create` and `open`."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from breeder.archive.store import FILE_NAME, SCHEMA_VERSION, EvaluationRecord, Store
from breeder.core import Evaluation, FailureKind
from breeder.errors import RunError, StoreError
from conformance.store import RUN, StoreFixtures, failed, program, success

WRITER = """
import sys
from pathlib import Path
from conformance.store_durability import WRITER_CALLS
WRITER_CALLS[sys.argv[1]](Path(sys.argv[2]))
"""


def write_for_ever(folder: Path) -> None:
    """Record without end, naming each row once it is acknowledged."""
    store = Store.open(folder)
    text = "y = 2\n" * 300
    while True:
        name = f"{os.getpid()}-{os.urandom(6).hex()}"
        number = store.record(program(name, text=text), success(name, 1.0))
        os.write(1, f"{number} {name}\n".encode())


def write_until_full(folder: Path) -> None:
    """Record until the file may not grow any more; then say how many and why."""
    import resource

    store = Store.open(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    count = 0
    try:
        while True:
            store.record(program(f"p{count}", text="z = 3\n" * 300), success(f"p{count}", 1.0))
            count += 1
    except StoreError as error:
        os.write(1, f"{count} {error}\n".encode())


def hold(folder: Path) -> None:
    """Take the writer's lock and wait."""
    with Store.open(folder):
        os.write(1, b"ready\n")
        signal.pause()


WRITER_CALLS = {"for_ever": write_for_ever, "until_full": write_until_full, "hold": hold}


def writer(call: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, call, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def assert_intact(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


class DurabilityConformance(StoreFixtures):
    # ---- refusing, all or nothing

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_numbers_that_are_not_finite_are_refused(self, store, value):
        bad = EvaluationRecord("a", Evaluation(metrics={"score": value}))
        with pytest.raises(ValueError, match="score is"):
            store.record(program("a"), bad)
        with pytest.raises(ValueError, match="fitness is"):
            store.record(program("a"), EvaluationRecord("a", Evaluation(), fitness=value))
        assert store.counts()["evaluations"] == 0
        with pytest.raises(KeyError):
            store.program("a")

    def test_a_full_disk_is_one_line_and_changes_nothing(self, store, folder):
        store.record(program("a"), success("a", 1.0))
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match="the disk is full") as caught:
            store.record(program("b", text="b" * 100_000), success("b", 2.0))
        assert "\n" not in str(caught.value)
        with pytest.raises(StoreError, match="the disk is full"):
            store.save_state({"kept": b"1", "large": bytes(100_000)})
        assert store.state("kept") == b""
        assert [row.program_id for row in store.evaluations()] == ["a"]
        with pytest.raises(KeyError):
            store.program("b")
        store._connection.execute("PRAGMA max_page_count = 1000000")
        store.record(program("b", text="b" * 100_000), success("b", 2.0))
        assert_intact(folder)

    def test_a_write_that_the_system_refuses_loses_nothing_before_it(self, folder):
        self.create(folder, RUN).close()
        with writer("until_full", folder) as child:
            answer = child.communicate()[0].decode()
        count, message = answer.split(" ", 1)
        assert int(count) > 10
        assert "cannot be written" in message
        assert message.startswith(str(folder / FILE_NAME))
        assert message.count("\n") == 1
        with self.open(folder) as store:
            assert store.counts()["evaluations"] == int(count)
            store.record(program("more"), success("more", 1.0))
        assert_intact(folder)

    # ---- who may open what

    def test_a_folder_holds_one_run(self, folder):
        self.create(folder, RUN).close()
        with pytest.raises(RunError, match="already holds a run"):
            self.create(folder, RUN)
        with self.open(folder) as store:
            assert store.run() == RUN

    def test_a_run_that_failed_before_its_first_evaluation_makes_way(self, folder):
        ended = {"status": "failed", "finished_at": "later", "elapsed": 1.0, "engine_cpu": 0.1}
        with self.create(folder, RUN) as store:
            store.save_state({"mixture": b"learned"})
            store.update_run(**ended, detail="a wrong key")
        with self.create(folder, RUN) as store:
            assert store.run() == RUN
            assert store.state("mixture") == b""
            store.record(program("one"), success("one", 1.0))
            store.update_run(**ended, detail="the disk is full")
        with pytest.raises(RunError, match="already holds a run"):
            self.create(folder, RUN)
        with self.open(folder) as store:
            assert store.counts()["evaluations"] == 1

    def test_a_run_that_never_came_to_be_can_be_created_again(self, folder):
        folder.mkdir()
        (folder / FILE_NAME).touch()
        with pytest.raises(RunError, match="holds no run"):
            self.open(folder)
        with pytest.raises(RunError, match="holds no run"):
            self.open(folder, readonly=True)
        self.create(folder, RUN).close()

    def test_a_file_in_the_way_of_the_folder(self, folder):
        folder.write_text("")
        with pytest.raises(RunError, match="cannot be created: File exists"):
            self.create(folder, RUN)

    @pytest.mark.parametrize("readonly", [False, True])
    def test_nothing_to_open(self, folder, readonly):
        with pytest.raises(RunError, match="holds no run"):
            self.open(folder, readonly=readonly)
        assert not folder.exists()

    @pytest.mark.parametrize("readonly", [False, True])
    def test_a_newer_store_is_left_alone(self, folder, readonly):
        self.create(folder, RUN).close()
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        before = (folder / FILE_NAME).read_bytes()
        with pytest.raises(RunError, match=f"version {SCHEMA_VERSION + 1}.*{SCHEMA_VERSION};"):
            self.open(folder, readonly=readonly)
        assert (folder / FILE_NAME).read_bytes() == before

    @pytest.mark.parametrize("readonly", [False, True])
    def test_a_file_that_is_no_database(self, folder, readonly):
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(b"not a database" * 1000)
        with pytest.raises(StoreError, match="the file is damaged"):
            self.open(folder, readonly=readonly)

    def test_a_damaged_page_is_reported_when_it_is_read(self, folder):
        with self.create(folder, RUN) as store:
            for number in range(50):
                store.record(program(f"p{number}", text="t" * 3000), success(f"p{number}", 1.0))
        path = folder / FILE_NAME
        content = bytearray(path.read_bytes())
        half = len(content) // 2 // 4096 * 4096
        content[half:] = b"\xff" * (len(content) - half)
        path.write_bytes(content)
        damaged = pytest.raises(StoreError, match="the file is damaged")
        with self.open(folder, readonly=True) as store, damaged:
            [store.program(f"p{number}") for number in range(50)]

    def test_a_value_that_no_version_writes_is_reported(self, store):
        store.record(program("a"), failed("a", FailureKind.CRASH))
        for column, value in (("failure_kind", "haste"), ("metrics_json", "{")):
            store._connection.execute(f"UPDATE evaluation SET {column} = ?", (value,))
            with pytest.raises(StoreError, match="the file is damaged"):
                list(store.evaluations())

    def test_one_writer_at_a_time(self, store, folder):
        with pytest.raises(RunError, match=rf"another process is writing .*, pid {os.getpid()};"):
            self.open(folder)
        with pytest.raises(RunError, match="another process is writing"):
            self.create(folder, RUN)
        store.close()
        store.close()
        self.open(folder).close()

    def test_the_lock_of_a_killed_writer_is_not_stale(self, folder):
        self.create(folder, RUN).close()
        with writer("hold", folder) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            with pytest.raises(RunError, match=rf"pid {child.pid};") as caught:
                self.open(folder)
            assert "\n" not in str(caught.value)
            child.kill()
        with self.open(folder) as store:
            assert store.run() == RUN

    def test_readers_read_while_the_writer_writes(self, store, folder):
        store.record(program("a"), success("a", 1.0))
        with self.open(folder, readonly=True) as reader:
            assert reader.counts()["evaluations"] == 1
            store.record(program("b"), success("b", 2.0))
            champion = reader.champion()
            assert champion is not None
            assert champion.program_id == "b"

    def test_readers_cannot_write(self, store, folder):
        with self.open(folder, readonly=True) as reader:
            with pytest.raises(StoreError, match="reading only"):
                reader.record(program("a"), success("a", 1.0))
            with pytest.raises(StoreError, match="reading only"):
                reader.save_state({"a": b""})
        assert store.counts()["evaluations"] == 0

    def test_reading_leaves_the_file_as_it_is(self, folder):
        with self.create(folder, RUN) as store:
            store.record(program("a"), success("a", 1.0))
        before = (folder / FILE_NAME).read_bytes()
        with self.open(folder, readonly=True) as reader:
            assert reader.counts()["evaluations"] == 1
        assert (folder / FILE_NAME).read_bytes() == before

    def test_a_finished_run_can_be_read_where_nothing_can_be_written(self, folder):
        with self.create(folder, RUN) as store:
            store.record(program("a"), success("a", 1.0))
        # A link to nowhere keeps SQLite from making its shared memory, as a read-only disk does.
        (folder / f"{FILE_NAME}-shm").symlink_to(folder / "nowhere" / "shm")
        with self.open(folder, readonly=True) as reader:
            assert reader.counts()["evaluations"] == 1

    def test_a_log_that_cannot_be_read_is_not_passed_over(self, store, folder, tmp_path):
        store.record(program("a"), success("a", 1.0))
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in (FILE_NAME, f"{FILE_NAME}-wal"):
            (copy / name).write_bytes((folder / name).read_bytes())
        (copy / f"{FILE_NAME}-shm").symlink_to(copy / "nowhere" / "shm")
        with pytest.raises(StoreError, match=FILE_NAME):
            self.open(copy, readonly=True)

    # ---- kill -9

    def test_a_killed_writer_loses_nothing_that_it_acknowledged(self, folder):
        self.create(folder, RUN).close()
        rng = random.Random(0)
        acknowledged: dict[int, str] = {}
        for _ in range(10):
            with writer("for_ever", folder) as child:
                assert child.stdout is not None
                lines = [child.stdout.readline() for _ in range(rng.randrange(1, 200))]
                child.kill()
                lines += child.stdout.readlines()
            for line in lines:
                number, name = line.decode().split()
                acknowledged[int(number)] = name
            # A reader comes first: the log of the dead writer is still beside the file.
            with self.open(folder, readonly=True) as reader:
                found = {row.id: row.program_id for row in reader.placed()}
                assert acknowledged.items() <= found.items()
        assert_intact(folder)
        with self.open(folder) as store:
            for row in store.evaluations():
                assert store.program(row.program_id).files["program.py"] == "y = 2\n" * 300
