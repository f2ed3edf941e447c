"""What a tree of processes uses, read from /proc by somebody outside of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROCESS_CLOCK = 2  # CPUCLOCK_SCHED of the whole process, see clock_getcpuclockid(3)
_CHUNK = 4096  # the files read here are shorter


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


class ProcessTable:
    """A /proc, read through a descriptor: it stays readable for its holder once it is unmounted.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, folder: str = "/proc") -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._folder)

    def pids(self) -> list[int]:
        """Return every process that it shows, but this one."""
        own = os.getpid()
        names = os.listdir(self._folder)
        return [int(name) for name in names if name.isdigit() and int(name) != own]

    def session_pids(self, session: int) -> list[int]:
        """Return the processes of a session."""
        found = []
        for pid in self.pids():
            try:
                if int(self._stat(pid)[3]) == session:
                    found.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def usage(self, pids: Iterable[int]) -> Usage:
        """Add up what `pids` use; processes that vanish meanwhile are left out."""
        cpu_seconds = 0.0
        anonymous_bytes = tasks = 0
        for pid in pids:
            try:
                fields = self._stat(pid)
                anonymous_bytes += self.anonymous_bytes(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
            # Fields as in proc(5), minus the first two: 11-14 are utime, stime, cutime, cstime.
            try:
                cpu_seconds += clock(pid)
            except OSError:
                cpu_seconds += (int(fields[11]) + int(fields[12])) * _TICK
            cpu_seconds += (int(fields[13]) + int(fields[14])) * _TICK
            tasks += 1 if fields[0] == "Z" else int(fields[17])
        return Usage(cpu_seconds, anonymous_bytes, tasks)

    def family(self, pid: int, pids: Iterable[int]) -> tuple[int, float]:
        """Return how many of `pids` live beside `pid`, and the CPU seconds of its dead children.

        Raises:
            ProcessLookupError: `pid` has ended.
        """
        living = 0
        children = 0.0
        for one in pids:
            try:
                fields = self._stat(one)
            except (FileNotFoundError, ProcessLookupError):
                if one == pid:
                    raise ProcessLookupError(f"process {pid} has ended") from None
                continue
            living += one != pid
            children += (int(fields[13]) + int(fields[14])) * _TICK
        return living, children

    def anonymous_bytes(self, pid: int) -> int:
        """Resident private memory of a process.

        Raises:
            FileNotFoundError, ProcessLookupError: it has ended.
        """
        _, resident, shared, *_ = self._read(f"{pid}/statm").split()
        return (int(resident) - int(shared)) * _PAGE

    def proportional_bytes(self, pids: Iterable[int]) -> int:
        """Private memory of `pids` with shared pages divided by their users; slow but exact.

        Where the kernel will not say for a process, its `Usage.anonymous_bytes` count in full.
        """
        total = 0
        for pid in pids:
            try:
                for line in self._read(f"{pid}/smaps_rollup").splitlines():
                    if line.startswith((b"Pss_Anon:", b"SwapPss:")):
                        total += int(line.split()[1]) * 1024
            except PermissionError:
                total += self.usage([pid]).anonymous_bytes
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total

    def _stat(self, pid: int) -> list[str]:
        text = self._read(f"{pid}/stat").decode("utf-8", "replace")
        return text[text.rindex(")") + 2 :].split()  # the name may hold spaces and parentheses

    def _read(self, name: str) -> bytes:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=self._folder)
        try:
            return os.read(descriptor, _CHUNK)
        finally:
            os.close(descriptor)


def clock(pid: int) -> float:
    """CPU seconds of one process, exact where /proc counts in units of 10 ms.

    Raises:
        OSError: it has ended.
    """
    return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)


def virtual_bytes() -> int:
    """Size of this process's address space."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * _PAGE
