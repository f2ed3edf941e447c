"""The clock that the evaluator reads: CPU time of a worker process, from outside of it.

Every reading is taken while the worker sleeps, as the kernel brings a process's CPU time up to
date only when one of its threads stops running, or at the next tick. Threads count; other
processes may not be involved. What the worker uses between runs is compared with what it must do
then, which is to move bytes: see `Meter.outside`.

On the machine that this was written on (two crowded virtual cores) a run of Python functions costs
15-30 us of CPU time, of which a program may save a part by work on its worker; batches should run
for milliseconds. A run of compiled functions costs 6-12 us and each call of an empty one with six
arguments 4 ns: all that is timed of them is in C (`native_loop`), with nothing to save. They get
their arguments when nothing but the run is left, and are read without asking (`shared_batch`), so
for them there is no work to be done outside.
What this cannot see of Python functions: work outside of the runs that costs less than moving the
bytes may (some 0.3 ms for a small output that is read, 50 us for each call that is laid out). And
of both: answers that are looked up because the same arguments came before. Draw new arguments for
calls that count.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple, Protocol

from breeder.core import Failure, FailureKind
from breeder.errors import SandboxUnavailableError
from breeder.evaluation.control import Company

_PROCESS_CLOCK = 2  # CPUCLOCK_SCHED of the whole process, see clock_getcpuclockid(3)
_STAT_BYTES = 1024
_STATE, _THREADS = 0, 17  # fields of /proc/PID/stat, see `_fields`
_SETTLE_NS = 50_000_000
_MS = 1_000_000
_IDLE_NS = _MS // 20
_GROSS_NS = 50 * _MS
_OFTEN, _SELDOM = 3, 2
"""Strikes that are too many, in most phases of a kind; fewer where more was done outside of the
runs than in them."""

_IDLE_SHARE = 100
"""One in so many idle phases may be a strike. Honest programs sleep in all of them, so this has
nothing to forgive; a program that worked ahead for some of its runs only would still gain."""


class Families(Protocol):
    """Knows which processes a program has made (`program.Supervision`)."""

    def company(self) -> Company:
        """Say which processes the program has made beside its first."""
        ...


class _Record(NamedTuple):
    """What was seen in the phases of one kind; a strike is a phase that took more than allowed."""

    phases: int = 0
    strikes: int = 0
    excess: int = 0


class Meter:
    """The CPU clock of one worker process.

    Args:
        pid: of the worker, as this process sees it.
        families: watches its processes.

    Attributes:
        last: the last reading, in nanoseconds.
        prepared: the batch that the worker holds now.
        in_runs: CPU time of all runs, in nanoseconds.
        phase: what was done last.
        lingered: how long, at the last reading, other threads went on while the worker slept.

    Raises:
        SandboxUnavailableError: this system does not show the process.
    """

    def __init__(self, pid: int, families: Families) -> None:
        self._clock = (~pid << 3) | _PROCESS_CLOCK
        self._tasks = f"/proc/{pid}/task"
        self._families = families
        try:
            self._stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        except OSError as error:
            text = f"the CPU time of a candidate cannot be read: {error.strerror}"
            raise SandboxUnavailableError(text) from None
        self.last = 0
        self.prepared: object = None
        self.in_runs = 0
        self._records: dict[str, _Record] = {}
        self.phase = "prepare"
        self.lingered = 0
        self.read()
        self._children_seconds = families.company().children_seconds

    def close(self) -> None:
        """Let go of the process. Safe to call twice."""
        if self._stat >= 0:
            os.close(self._stat)
            self._stat = -1

    def read(self) -> int:
        """Wait until the worker sleeps, all its threads, and return its CPU time in nanoseconds.

        A worker that has ended, or will not sleep, is read as it is.
        """
        begin = now = time.perf_counter_ns()
        self.lingered = 0
        while now < begin + _SETTLE_NS and (busy := self._busy()):
            os.sched_yield()
            now = time.perf_counter_ns()
            if busy == "threads":
                self.lingered = now - begin
        with contextlib.suppress(OSError):
            self.last = time.clock_gettime_ns(self._clock)
        return self.last

    def idle(self) -> Failure | None:
        """Say whether it used CPU time since the last reading, when nothing was asked of it."""
        before = self.last
        # What a run leaves behind shows after it only: kinds differ by what came before.
        return self._judge(f"idle after {self.phase}", self.read() - before, _IDLE_NS)

    def outside(self, phase: str, used: int, allowed: int) -> Failure | None:
        """Judge the CPU time of a phase outside of the runs.

        One phase that costs more than it should is let pass, as neighbours on the machine make
        caches cold; not most phases of a kind, nor a gross excess.

        Args:
            phase: what the worker was asked to do.
            used: CPU time, in nanoseconds.
            allowed: what it may cost, in nanoseconds.

        Returns:
            The failure, or None.
        """
        self.phase = phase
        return self._judge(phase, used, allowed)

    def company(self) -> Failure | None:
        """Say whether the program has shared its work with other processes."""
        company = self._families.company()
        if company.processes:
            text = f"{company.processes} other processes of it live while it is measured"
        elif company.children_seconds > self._children_seconds:
            text = "it had child processes work while it was measured"
        else:
            return None
        text += "; measured calls may use threads, not processes"
        return Failure(FailureKind.OUTSIDE_CLOCK, text)

    def _judge(self, phase: str, used: int, allowed: int) -> Failure | None:
        before = self._records.get(phase, _Record())
        excess = max(used - allowed, 0)
        seen = _Record(before.phases + 1, before.strikes + (excess > 0), before.excess + excess)
        self._records[phase] = seen
        idle = phase not in _WORDS
        most = (_IDLE_SHARE if idle else 2) * seen.strikes > seen.phases
        enough = _SELDOM if seen.excess > self.in_runs else _OFTEN
        if excess <= _GROSS_NS and not (most and seen.strikes >= enough):
            return None
        what = "threads left running past the call" if idle else "work done"
        when = "while nothing was asked of it" if idle else _WORDS[phase]
        text = (
            f"{what} outside the clock: {used / _MS:.1f} ms of CPU time {when}, where "
            f"{allowed / _MS:.1f} ms are enough"
        )
        return Failure(FailureKind.OUTSIDE_CLOCK, text)

    def _busy(self) -> str:
        """Who runs: `worker`, `threads` beside it, or nobody."""
        try:
            fields = _fields(os.pread(self._stat, _STAT_BYTES, 0))
        except OSError:
            return ""
        if fields[_STATE] == b"R":
            return "worker"
        if int(fields[_THREADS]) == 1:
            return ""
        return "threads" if any(map(self._runs, os.listdir(self._tasks))) else ""

    def _runs(self, task: str) -> bool:
        try:
            with open(f"{self._tasks}/{task}/stat", "rb") as file:
                return _fields(file.read())[_STATE] == b"R"
        except OSError:
            return False


def _fields(stat: bytes) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on; the name before it may hold anything."""
    return stat[stat.rindex(b")") + 2 :].split()


def pid_of(handle: int) -> int:
    """Return the number of the process that a pidfd stands for, 0 when it has ended; closes it.

    Raises:
        SandboxUnavailableError: /proc does not say.
    """
    try:
        with open(f"/proc/self/fdinfo/{handle}", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return max(int(lines["Pid"]), 0)
    except (OSError, KeyError) as error:
        raise SandboxUnavailableError(f"a process cannot be found in /proc: {error}") from None
    finally:
        os.close(handle)


_WORDS = {
    "prepare": "while its arguments were laid out",
    "arm": "while its outputs were cleared",
    "output": "while its outputs were read",
    "arguments": "while its arguments were read",
}
