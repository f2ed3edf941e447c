"""`--sandbox none`: the contract of a sandbox without isolation, for machines that have none.

What it does: every program runs in a process and session of its own with a temporary folder, a
bare environment, limits on address space, file size and open files per process, on CPU time, tasks
and memory of its session (Linux) and on wall time and output. What it does NOT protect: programs
run as the user who runs breeder, so they can read and change every file of that user, use the
network, see and kill the user's processes (this one too), and leave processes behind in sessions
of their own. If breeder itself is killed, the temporary folder of the running program stays until
the next sandbox of this kind is opened. Use it for programs that you would run by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from breeder.errors import SandboxUnavailableError
from breeder.evaluation import limits as process_limits
from breeder.evaluation import processes, syscalls, worker
from breeder.evaluation.compilation import Binaries, Compiler
from breeder.evaluation.control import Company, Died
from breeder.evaluation.entry import COMMON_ENVIRONMENT
from breeder.evaluation.limits import MIB
from breeder.evaluation.program import RunningProgram
from breeder.evaluation.sandbox import Limits, ProgramSpec

SAMPLE_SECONDS = 0.02
_PREFIX = "breeder-candidate-"
_ABANDONED_SECONDS = 60.0
_END_SECONDS = 5.0


class Folder:
    """A temporary folder, locked while its process lives: what is not locked has been left behind.

    Attributes:
        name: its path.
    """

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix=_PREFIX)
        self._lock = os.open(self.name, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def discard(self) -> None:
        """Remove it with all that is in it, as far as possible. Safe to call twice."""
        if self._lock >= 0:
            shutil.rmtree(self.name, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def remove_abandoned() -> None:
    """Remove the folders of programs whose evaluator was killed; skips what it may not remove."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            # A new folder may not be locked yet.
            if path.is_symlink() or time.time() - path.stat().st_mtime < _ABANDONED_SECONDS:
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while it is used
                shutil.rmtree(path)
            finally:
                os.close(lock)


class Session:
    """A worker in a session of its own; the `Supervision` of its program."""

    interval: float | None = SAMPLE_SECONDS

    def __init__(self, limits: Limits, data: socket.socket, output: int) -> None:
        self._limits = limits
        self._folder = Folder()
        scratch = self._folder.name
        arguments = [str(data.fileno()), scratch, msgspec.json.encode(limits).decode()]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()", *arguments],
            pass_fds=[data.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=scratch,
            env={
                **COMMON_ENVIRONMENT,
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": scratch,
                "TMPDIR": scratch,
                "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            start_new_session=True,
        )
        self._cpu_seconds = 0.0
        self._cpu_allowed = limits.cpu_seconds
        self._died: Died | None = None
        self._status: int | None = None

    def fileno(self) -> int:
        """There is no descriptor to wait for."""
        return -1

    def allow(self, cpu_seconds: float) -> None:
        """See `Supervision.allow`."""
        self._cpu_allowed = self.usage() + cpu_seconds

    def usage(self) -> float:
        """See `Supervision.usage`."""
        if self._status is None:
            self._sample()
        return self._cpu_seconds

    def check(self) -> Died | None:
        """See `Supervision.check`."""
        if self._died is not None or self._status is not None:
            return self._died
        used = self._sample()
        limits = self._limits
        if self._cpu_seconds > self._cpu_allowed:
            what = f"{self._cpu_seconds:.2f} s of CPU time, {self._cpu_allowed:.2f} s were allowed"
            self._died = Died("cpu", detail=what)
        elif used.tasks > limits.processes:
            what = f"{used.tasks} processes and threads, {limits.processes} are allowed"
            self._died = Died("processes", detail=what)
        elif used.anonymous_bytes > limits.memory_mib * MIB:
            what = f"{used.anonymous_bytes // MIB} MiB, {limits.memory_mib} MiB are allowed"
            self._died = Died("memory", detail=what)
        elif self._wait(os.WNOHANG):
            self._died = Died("exited", self._status or 0)
        if self._died is not None:
            self._died = msgspec.structs.replace(self._died, cpu_seconds=self.kill())
        return self._died

    def pid(self) -> int:
        """See `Supervision.pid`."""
        if not _HAS_PROC:
            raise SandboxUnavailableError("measuring a program's CPU time needs Linux's /proc")
        return self._process.pid if self._status is None else 0

    def company(self) -> Company:
        """See `Supervision.company`."""
        table = _table()
        pid = self._process.pid
        try:
            return Company(*table.family(pid, table.session_pids(pid)))
        except ProcessLookupError:
            return Company()

    def kill(self) -> float:
        """See `Supervision.kill`."""
        if self._status is None:
            self._sample()
        # The worker leads its process group; the group outlives it when it has left children.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if _HAS_PROC:
            _end_session(self._process.pid)
        if self._status is None:
            self._wait(0)
        self._folder.discard()
        return self._cpu_seconds

    def _wait(self, options: int) -> bool:
        pid, status, used = os.wait4(self._process.pid, options)
        if pid == 0:
            return False
        self._status = self._process.returncode = status
        self._cpu_seconds = max(self._cpu_seconds, used.ru_utime + used.ru_stime)
        return True

    def _sample(self) -> processes.Usage:
        if not _HAS_PROC:
            return processes.Usage(self._cpu_seconds, 0, 0)
        used = _table().usage(_table().session_pids(self._process.pid))
        self._cpu_seconds = max(self._cpu_seconds, used.cpu_seconds)
        return used


class UnconfinedSandbox:
    """A `Sandbox` that isolates nothing; see the module's text for what that means."""

    def __init__(self, binaries: Binaries | None = None) -> None:
        remove_abandoned()
        self._compiler = Compiler(self._run, binaries)
        self._program: RunningProgram | None = None

    def start(self, spec: ProgramSpec, limits: Limits) -> RunningProgram:
        """Start a program, see `Sandbox.start`."""
        return self._compiler.start(spec, limits)

    def close(self) -> None:
        """End the running program. Safe to call twice."""
        if self._program is not None:
            self._program.close()
            self._program = None

    def _run(self, limits: Limits) -> RunningProgram:
        self.close()
        ours, theirs = socket.socketpair()
        pipe, pipe_end = os.pipe()
        with theirs:
            session = Session(limits, theirs, pipe_end)
        os.close(pipe_end)
        self._program = RunningProgram(ours, pipe, session, limits)
        return self._program


def main() -> None:
    """Become the worker of one program; arguments: socket number, scratch folder, limits."""
    descriptor, scratch, text = sys.argv[1:]
    limits = msgspec.json.decode(text, type=Limits)
    base = processes.virtual_bytes() if _HAS_PROC else 0
    if sys.platform == "linux":  # dies with the evaluator, however that dies
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    process_limits.apply(limits, base_bytes=base, limit_processes=False)
    if not _HAS_PROC:  # nobody samples; each process has the CPU time of the whole program
        seconds = int(limits.cpu_seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    worker.serve(int(descriptor), scratch)


def _end_session(session: int) -> None:
    """Kill every process of a session, and wait until they have ended."""
    handles = []
    for pid in _table().session_pids(session):
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [], _END_SECONDS)
        os.close(handle)


@functools.cache
def _table() -> processes.ProcessTable:
    return processes.ProcessTable()


_HAS_PROC = Path("/proc/self/stat").exists()
