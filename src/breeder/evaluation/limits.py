"""Resource limits of a single process, and what a process's end says about limits."""

from __future__ import annotations

import os
import resource
import signal
import sys

from breeder.core import Failure, FailureKind
from breeder.evaluation.sandbox import Limits

MIB = 1 << 20
MAX_OPEN_FILES = 256
SPARE_TASKS = 8
"""Tasks beyond the limit that the kernel allows, so that sampling sees the excess and names it."""

_THREAD_MIB = 72
"""Address space that a thread reserves, mostly unused: its stack and its heap (glibc)."""

CHANNEL_LOST_STATUS = 119
"""Exit status of a worker whose channel the candidate destroyed."""

_SIGNAL_KINDS: dict[int, FailureKind] = {
    signal.SIGXCPU: FailureKind.CPU_TIME,
    signal.SIGXFSZ: FailureKind.DISK,
}


def apply(limits: Limits, *, base_bytes: int, limit_processes: bool) -> None:
    """Limit this process and its children, each for itself; the tree is limited by sampling.

    Args:
        limits: what the candidate may use.
        base_bytes: address space that it already has from its preloaded modules.
        limit_processes: set `RLIMIT_NPROC`; right only where the user runs nothing else.
    """
    hard = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits.file_mib * MIB,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_AS: base_bytes + (limits.memory_mib + limits.processes * _THREAD_MIB) * MIB,
    }
    if limit_processes:
        hard[resource.RLIMIT_NPROC] = limits.processes + SPARE_TASKS
    for name, value in hard.items():
        if name == resource.RLIMIT_AS and sys.platform != "linux":
            continue  # macOS refuses it
        # A limit that is inherited may already be lower, and only root can raise it.
        _, inherited = resource.getrlimit(name)
        bound = value if inherited == resource.RLIM_INFINITY else min(value, inherited)
        resource.setrlimit(name, (bound, bound))


def failure_of_status(status: int, output: str) -> Failure:
    """Say what a wait status means for a program that should still have been running.

    Args:
        status: as of waitpid(2).
        output: what the program printed; its end explains an exit.
    """
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        kind = _SIGNAL_KINDS.get(number, FailureKind.CRASH)
        return Failure(kind, _with_tail(f"died of {name}", output))
    code = os.WEXITSTATUS(status)
    if code == CHANNEL_LOST_STATUS:
        return Failure(FailureKind.PROTOCOL, "it closed or damaged the channel for its answers")
    return Failure(FailureKind.EXIT, _with_tail(f"left with exit status {code}", output))


def _with_tail(text: str, output: str) -> str:
    tail = output.strip()[-500:]
    return f"{text}; it printed: {tail}" if tail else text
