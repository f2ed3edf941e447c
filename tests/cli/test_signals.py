"""Signals, and death without warning, of a run in a process of its own."""

import contextlib
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder

from breeder.executors.process_tree import descendants

# The evaluator stays in any candidate but the start until it is killed.
STAYING = """
INITIAL = open(__file__.replace("evaluate.py", "initial.py")).read()


def evaluate_quick(candidate):
    if candidate.files["initial.py"] == INITIAL:
        return score(candidate, SEARCH_SEEDS[:2])
    open(__file__.replace("evaluate.py", "entered"), "w").close()
    signal.pause()
"""


@pytest.fixture
def launch(task: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `breeder run` on the task; whatever still runs in the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "breeder", *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def recorded(run: Path) -> set[int]:
    """Ids of the evaluations that are committed, read beside the writer."""
    if not (run / "run.db").is_file():
        return set()
    with contextlib.closing(
        sqlite3.connect(f"file:{run}/run.db?mode=ro", uri=True, timeout=5)
    ) as connection:
        try:
            return {row[0] for row in connection.execute("SELECT id FROM evaluation")}
        except sqlite3.OperationalError:  # the schema is being written
            return set()


def wait_until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Watch a running process until something is true of it."""
    for _ in range(3000):
        if reached():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            pytest.fail(f"it ended too early: {process.communicate()[0]}")
    pytest.fail("nothing happened for a minute")


def alive(processes: set[int]) -> set[int]:
    """Those that run; zombies do not count."""
    found = set()
    for pid in processes:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                found.add(pid)
    return found


def assert_gone(processes: set[int]) -> None:
    """Assert that processes end, within moments, on their own."""
    watched = []
    for pid in alive(processes):
        with contextlib.suppress(ProcessLookupError):
            watched.append(os.pidfd_open(pid))
    for descriptor in watched:
        ended, _, _ = select.select([descriptor], [], [], 20.0)
        os.close(descriptor)
        assert ended
    assert alive(processes) == set()


def status(breeder: Breeder) -> tuple[str, int]:
    data = json.loads(breeder("show", "run", "--json").out)
    return data["status"], data["evaluations"]


def test_one_interrupt_finishes_what_is_under_way(
    launch: Callable[..., subprocess.Popen[str]], breeder: Breeder
) -> None:
    process = launch("run", "job", "--out", "run", "--evaluations", "80", "--slots", "1")
    wait_until(process, lambda: len(recorded(Path("run"))) >= 2)
    tree = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 3, out
    assert "stopped: stopped by a signal" in out
    assert out.splitlines()[-1] == "go on with: breeder resume run"
    assert "Traceback" not in out
    assert_gone(tree)
    name, count = status(breeder)
    assert name == "stopped"
    assert 2 <= count < 80
    assert breeder("resume", "run", "--json").code == 0
    assert status(breeder) == ("finished", 80)


def test_a_second_interrupt_stops_at_once(
    launch: Callable[..., subprocess.Popen[str]], task: Path, breeder: Breeder
) -> None:
    text = (
        (task / "evaluate.py").read_text().replace("import random", "import random\nimport signal")
    )
    begin, end = text.index("def evaluate_quick"), text.index("def evaluate(")
    (task / "evaluate.py").write_text(text[:begin] + STAYING.lstrip() + "\n\n" + text[end:])
    process = launch("run", "job", "--out", "run", "--evaluations", "9", "--slots", "1")
    wait_until(process, (task / "entered").exists)
    tree = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)  # it waits for the evaluation, which does not come to an end
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 3, out
    assert "stopped by a second signal; evaluations in flight dropped" in out
    assert_gone(tree)
    assert status(breeder) == ("stopped", 1)


def test_a_killed_run_loses_nothing_and_goes_on(
    launch: Callable[..., subprocess.Popen[str]], breeder: Breeder
) -> None:
    run = Path("run")
    commands = (
        ("run", "job", "--out", "run", "--evaluations", "90", "--slots", "2"),
        ("resume", "run"),
    )
    seen: set[int] = set()
    for command, wanted in zip(commands, (3, 15), strict=True):
        process = launch(*command)
        wait_until(process, lambda wanted=wanted: len(recorded(run)) >= wanted)  # type: ignore[misc]
        tree = descendants(process.pid)
        before = recorded(run)
        assert seen <= before
        process.kill()
        process.wait()
        assert_gone(tree)
        seen = recorded(run)
        assert before <= seen
        assert status(breeder)[0] == "running"
    best = json.loads(breeder("show", "run", "--json").out)["champion"]["fitness"]
    done = json.loads(breeder("resume", "run", "--json").out)
    assert (done["status"], done["evaluations"]) == ("finished", 90)
    assert done["champion"]["fitness"] >= best
    assert seen <= recorded(run)
