from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from breeder.evaluation import processes
from breeder.evaluation.processes import ProcessTable

WORK = """
import subprocess, sys, threading
kept = bytearray(b"x") * (24 << 20)
subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
threading.Thread(target=sys.stdin.read).start()
print("ready", flush=True)
"""


@pytest.fixture
def table() -> Iterator[ProcessTable]:
    table = ProcessTable()
    yield table
    table.close()


@pytest.fixture
def worker() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", WORK],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def test_usage_counts_threads_memory_and_dead_children(table: ProcessTable, worker: int) -> None:
    used = table.usage([worker])
    assert used.tasks == 2
    assert 24 << 20 <= used.anonymous_bytes < 200 << 20
    assert used.anonymous_bytes == table.anonymous_bytes(worker)
    assert 24 << 20 <= table.proportional_bytes([worker]) < 200 << 20
    # Its child worked, too. (Its clock is the smaller, read later.)
    assert used.cpu_seconds >= processes.clock(worker) + 0.01


def test_a_session_is_found_and_those_that_ended_are_left_out(
    table: ProcessTable, worker: int
) -> None:
    assert table.session_pids(worker) == [worker]
    assert worker in table.pids()
    never = 2**22 + 1  # beyond the largest process number that Linux gives
    assert table.usage([never]) == processes.Usage(0.0, 0, 0)
    assert table.proportional_bytes([never]) == 0
    with pytest.raises(FileNotFoundError):
        table.anonymous_bytes(never)
