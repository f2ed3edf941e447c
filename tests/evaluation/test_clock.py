from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from breeder.core import Failure, FailureKind
from breeder.errors import SandboxUnavailableError
from breeder.evaluation.batch import array_bytes
from breeder.evaluation.clock import Meter, pid_of
from breeder.evaluation.control import Company

MS = 1_000_000
ECHO = "import sys\nfor line in sys.stdin: print(sum(range(int(line))), flush=True)"


class Scripted:
    """Says what it was told to."""

    def __init__(self) -> None:
        self.answer = Company()

    def company(self) -> Company:
        return self.answer


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Adds numbers up when it is asked to, and sleeps otherwise."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ECHO], stdin=pipe, stdout=pipe, text=True) as one:
        yield one
        assert one.stdin is not None
        one.stdin.close()


def ask(process: subprocess.Popen[str], numbers: int) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{numbers}\n")
    process.stdin.flush()
    process.stdout.readline()


@pytest.fixture
def meter(process: subprocess.Popen[str]) -> Iterator[Meter]:
    ask(process, 1)
    made = Meter(process.pid, Scripted())
    yield made
    made.close()


def test_readings_stand_still_while_the_process_sleeps(
    meter: Meter, process: subprocess.Popen[str]
) -> None:
    begin = meter.read()
    assert meter.read() == begin > 0
    ask(process, 2_000_000)
    assert meter.read() - begin > 5 * MS
    assert meter.last == meter.read()


def test_work_while_nothing_was_asked_is_judged_by_itself(
    meter: Meter, process: subprocess.Popen[str]
) -> None:
    meter.read()
    found = [meter.idle()]
    for _ in range(3):
        ask(process, 200_000)
        found.append(meter.idle())
    assert found[:2] == [None, None]
    last = found[-1]
    assert last is not None
    assert last.kind is FailureKind.OUTSIDE_CLOCK
    assert "threads left running" in last.detail


def test_work_after_few_of_many_runs_is_too_much(
    meter: Meter, process: subprocess.Popen[str]
) -> None:
    meter.in_runs = 1000 * MS
    found: list[Failure | None] = []
    for number in range(60):
        if number % 20 == 19:
            ask(process, 200_000)
        found.append(meter.idle())
    assert found[:-1] == [None] * 59
    assert found[-1] is not None


def test_what_has_ended_keeps_its_last_reading(process: subprocess.Popen[str]) -> None:
    ask(process, 1)
    meter = Meter(process.pid, Scripted())
    last = meter.read()
    process.kill()
    process.wait()
    assert meter.read() == last
    meter.close()
    meter.close()


def judged(meter: Meter, phases: list[int]) -> list[Failure | None]:
    """Judge phases of some milliseconds where 10 are allowed."""
    return [meter.outside("output", used * MS, 10 * MS) for used in phases]


def test_a_single_expensive_phase_is_let_pass(meter: Meter) -> None:
    meter.in_runs = 1000 * MS
    assert judged(meter, [5, 40, 5, 5, 30, 5, 20, 10]) == [None] * 8


def test_expensive_phases_one_after_another_are_not(meter: Meter) -> None:
    meter.in_runs = 1000 * MS
    *before, last = judged(meter, [12, 12, 12])
    assert before == [None, None]
    assert last is not None
    assert "12.0 ms of CPU time while its outputs were read, where 10.0 ms" in last.detail


def test_two_are_enough_where_more_is_done_outside_of_the_runs(meter: Meter) -> None:
    meter.in_runs = 3 * MS
    *before, last = judged(meter, [12, 12])
    assert before == [None]
    assert last is not None


def test_a_gross_excess_is_enough_by_itself(meter: Meter) -> None:
    meter.in_runs = 1000 * MS
    assert judged(meter, [59]) == [None]
    assert judged(meter, [1, 1, 61])[-1] is not None


def test_kinds_of_phases_are_judged_apart(meter: Meter) -> None:
    meter.in_runs = 1000 * MS
    for phase in ("prepare", "arm", "output"):
        assert meter.outside(phase, 12 * MS, 10 * MS) is None


def test_other_processes_are_refused_and_earlier_children_are_not(
    process: subprocess.Popen[str],
) -> None:
    families = Scripted()
    families.answer = Company(0, 0.5)
    meter = Meter(process.pid, families)
    assert meter.company() is None
    families.answer = Company(0, 0.51)
    failure = meter.company()
    assert failure is not None
    assert "child processes" in failure.detail
    families.answer = Company(2, 0.5)
    failure = meter.company()
    assert failure is not None
    assert "2 other processes" in failure.detail
    meter.close()


def test_a_process_that_is_not_there_has_no_clock() -> None:
    with pytest.raises(SandboxUnavailableError, match="cannot be read"):
        Meter(2**31 - 1, Scripted())


def test_handles_tell_the_number_of_their_process(process: subprocess.Popen[str]) -> None:
    assert pid_of(os.pidfd_open(process.pid)) == process.pid
    handle = os.pidfd_open(process.pid)
    process.kill()
    process.wait()
    assert pid_of(handle) == 0
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(SandboxUnavailableError):
        pid_of(reading)
    with pytest.raises(OSError, match="Bad file"):
        os.close(reading)


def test_bytes_of_arrays_are_counted_at_every_depth() -> None:
    array = np.zeros((2, 3))
    assert array_bytes([1, array, [array, b"four"], "text", {"x": 1}, None]) == 48 + 48 + 4
