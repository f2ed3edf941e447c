"""A process and its descendants, read from /proc (see proc(5))."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat after the command name: utime, stime, cutime, cstime (from state = 0).
_CPU_FIELDS = slice(11, 15)


def descendants(pid: int) -> set[int]:
    """Return the processes below `pid`, itself not included; empty when it is gone."""
    found: set[int] = set()
    pending = [pid]
    while pending:
        children = _children(pending.pop()) - found
        found |= children
        pending += children
    return found


def tree_cpu_seconds(pid: int) -> float:
    """CPU seconds of a process tree, children that were waited for included; 0.0 when unknown."""
    return sum(_cpu_seconds(member) for member in {pid, *descendants(pid)})


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(child) for child in (thread / "children").read_text().split()}
    except OSError:
        return found
    return found


def _cpu_seconds(pid: int) -> float:
    try:
        # The command name may hold spaces and brackets; the last ")" ends it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in fields[_CPU_FIELDS]) / _TICKS
