"""What a tree of processes uses, read from /proc by somebody outside of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROCESS_CLOCK = 2  # CPUCLOCK_SCHED of the whole process, see clock_getcpuclockid(3)


class Usage(NamedTuple):
    """What processes use together.

    Attributes:
        cpu_seconds: user + system, dead children that were waited for included.
        anonymous_bytes: resident private memory; pages shared after a fork count in each process.
        tasks: number of threads of all processes; a zombie counts as one.
    """

    cpu_seconds: float
    anonymous_bytes: int
    tasks: int


def all_pids() -> list[int]:
    """Return every process that this process's /proc shows, but this one."""
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own]


def usage(pids: Iterable[int]) -> Usage:
    """Add up what `pids` use; processes that vanish meanwhile are left out."""
    cpu_seconds = 0.0
    anonymous_bytes = tasks = 0
    for pid in pids:
        try:
            fields = _stat(pid)
            anonymous_bytes += _anonymous_bytes(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Fields as in proc(5), minus the first two: 11-14 are utime, stime, cutime, cstime.
        cpu_seconds += _own_cpu_seconds(pid, fields)
        cpu_seconds += (int(fields[13]) + int(fields[14])) * _TICK
        tasks += 1 if fields[0] == "Z" else int(fields[17])
    return Usage(cpu_seconds, anonymous_bytes, tasks)


def proportional_bytes(pids: Iterable[int]) -> int:
    """Private memory of `pids` with shared pages divided by their users; slow but exact.

    Where the kernel will not say for a process, its `Usage.anonymous_bytes` count in full.
    """
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                for line in file:
                    if line.startswith(("Pss_Anon:", "SwapPss:")):
                        total += int(line.split()[1]) * 1024
        except PermissionError:
            total += usage([pid]).anonymous_bytes
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def virtual_bytes() -> int:
    """Size of this process's address space."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * _PAGE


def session_pids(session: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for pid in all_pids():
        try:
            if int(_stat(pid)[3]) == session:
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _stat(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        text = file.read()
    return text[text.rindex(")") + 2 :].split()  # the name may hold spaces and parentheses


def _anonymous_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        _, resident, shared, *_ = file.read().split()
    return (int(resident) - int(shared)) * _PAGE


def _own_cpu_seconds(pid: int, fields: list[str]) -> float:
    try:
        return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)  # exact, where stat has 10 ms
    except OSError:
        return (int(fields[11]) + int(fields[12])) * _TICK
