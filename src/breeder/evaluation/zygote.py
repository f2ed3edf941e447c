"""A pre-warmed fork server inside the sandbox: starts candidates in milliseconds, watches them.

Runs as process 1 of the sandbox's process namespace, with numpy and the task's preloaded modules
imported. It serves one program at a time: a fork that gives up every right (`entry`) in a scratch
folder mounted for it. As process 1 it inherits all orphans, no signal from inside can kill it, and
it can kill every other process of the namespace at once; so programs never outlive each other, and
before the next one starts the folder is gone and process numbers begin anew. While a program runs,
its process tree is sampled from outside of it and killed for using too much CPU time, memory or
too many tasks.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import random
import select
import signal
import socket
import sys
import time
from typing import NamedTuple

import msgspec
import numpy as np

from breeder.evaluation import control, entry, processes, seccomp, syscalls, warming
from breeder.evaluation.control import (
    Allow,
    Company,
    Died,
    Kill,
    Locate,
    Ready,
    Sampled,
    Setup,
    Start,
    Usage,
)
from breeder.evaluation.limits import MIB
from breeder.evaluation.sandbox import Limits

SAMPLE_SECONDS = 0.02
_FIRST_PID = 2
_WAIT_ALL = 0x40000000  # __WALL: children with any exit signal


class Running(NamedTuple):
    """A program: its first process, and its limits."""

    pid: int
    limits: Limits


class Zygote:
    """Serves one control socket.

    Args:
        channel: the socket.
        setup: how candidates are confined.

    Raises:
        OSError: in a nested sandbox, what makes programs independent of each other is refused.
    """

    def __init__(self, channel: socket.socket, setup: Setup) -> None:
        self._channel = channel
        self._setup = setup
        target = seccomp.architecture()
        self._confinement = entry.Confinement(
            setup,
            seccomp.filter_program(target),
            target.numbers["seccomp"],
            processes.virtual_bytes(),
            os.open("/dev/null", os.O_RDONLY),
        )
        self._last_pid = _open_last_pid(os.O_RDWR if setup.nested else os.O_RDONLY)
        self._table = processes.ProcessTable()
        if setup.nested:
            syscalls.unmount("/proc")  # candidates have none; this process keeps the descriptor
        self._children = syscalls.signal_descriptor(signal.SIGCHLD)
        self._status, self._status_end = os.pipe()
        os.set_blocking(self._status, False)
        self._running: Running | None = None
        self._cpu_allowed = 0.0
        self._cpu_seconds = 0.0
        self._cpu_reaped = 0.0

    def settle(self) -> None:
        """Do once what each candidate would do first, and leave the heap as it is then."""
        if self._setup.nested:
            syscalls.mount_tmpfs(entry.SCRATCH, "size=1048576,mode=700")
            warming.warm_up(entry.SCRATCH)
            self._clear()
        random.seed(0)
        np.random.seed(0)
        # Candidates switch collection on again; here it would only touch pages that they share.
        gc.collect()
        gc.disable()
        gc.freeze()

    def serve(self) -> None:
        """Answer requests until the other end is gone."""
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(self._children, select.POLLIN)
        channel = self._channel.fileno()
        next_sample = 0.0
        while True:
            before = self._running
            wait = max(0.0, next_sample - time.monotonic()) * 1000 if before else None
            ready = {descriptor for descriptor, _ in poller.poll(wait)}
            if self._children in ready:
                _drain(self._children)
                self._reap()
            if channel in ready and not self._answer():
                return
            if self._running is not before:
                next_sample = time.monotonic() + SAMPLE_SECONDS
            elif before and time.monotonic() >= next_sample:
                self._check_limits()
                next_sample = time.monotonic() + SAMPLE_SECONDS

    def _answer(self) -> bool:
        packet, descriptors, _, _ = socket.recv_fds(self._channel, control.MAX_PACKET_BYTES, 2)
        if not packet:
            return False
        request = control.decode_request(packet)
        if isinstance(request, Start):
            self._start(request.limits, descriptors)
        elif isinstance(request, Allow):
            self._count_cpu()
            self._cpu_allowed = self._cpu_seconds + request.cpu_seconds
        elif isinstance(request, Usage):
            if self._running is not None:
                self._check_limits()
            self._send(Sampled(self._cpu_seconds))
        elif isinstance(request, Kill):
            if self._running is not None:
                self._end()
            self._send(Sampled(self._cpu_seconds))
        elif isinstance(request, Locate):
            self._locate()
        return True

    def _locate(self) -> None:
        handles = []
        company = Company()
        with contextlib.suppress(ProcessLookupError):
            if self._running is not None:
                handles.append(os.pidfd_open(self._running.pid))
                if not self._is_alone():
                    living, children = self._table.family(self._running.pid, self._table.pids())
                    company = Company(living, self._cpu_reaped + children)
        socket.send_fds(self._channel, [control.encode(company)], handles)
        for handle in handles:
            os.close(handle)

    def _start(self, limits: Limits, descriptors: list[int]) -> None:
        self._cpu_allowed = limits.cpu_seconds
        self._cpu_seconds = self._cpu_reaped = 0.0
        _drain(self._status)
        if self._setup.nested:
            self._make_room(limits)
        pid = os.fork()
        if pid == 0:
            data, output = descriptors
            entry.run(self._confinement, limits, entry.Descriptors(data, output, self._status_end))
        for descriptor in descriptors:
            os.close(descriptor)
        self._running = Running(pid, limits)

    def _make_room(self, limits: Limits) -> None:
        """Mount an empty scratch folder and let the next process have the first free number."""
        owner = os.getuid() if self._setup.uid is None else self._setup.uid
        group = os.getgid() if self._setup.uid is None else self._setup.uid
        size = limits.scratch_mib * MIB
        options = f"size={size},nr_inodes=16384,mode=700,uid={owner},gid={group}"
        syscalls.mount_tmpfs(entry.SCRATCH, options)
        _set_last_pid(self._last_pid)

    def _clear(self) -> None:
        # No process is left that could hold a file of it open: its memory is free at once.
        syscalls.unmount(entry.SCRATCH)

    def _count_cpu(self) -> processes.Usage | None:
        """Bring the CPU time up to date; returns what living processes use, unless it is alone."""
        if self._running is None:
            return None
        used = None
        if self._is_alone():
            try:
                living = processes.clock(self._running.pid)
            except OSError:
                living = 0.0
        else:
            used = self._table.usage(self._table.pids())
            living = used.cpu_seconds
        # A process that is just being reaped may be missing from one sample.
        self._cpu_seconds = max(self._cpu_seconds, self._cpu_reaped + living)
        return used

    def _is_alone(self) -> bool:
        """Whether the program has never made a process or a thread: its number is the last one."""
        assert self._running is not None
        if self._last_pid < 0:
            return False
        return int(os.pread(self._last_pid, 32, 0)) == self._running.pid

    def _check_limits(self) -> None:
        assert self._running is not None
        self._reap()
        if self._running is None:
            return
        limits = self._running.limits
        used = self._count_cpu()
        tasks = 1 if used is None else used.tasks
        if tasks > limits.processes:
            what = f"{tasks} processes and threads, {limits.processes} are allowed"
            self._kill_for("processes", what)
        elif self._cpu_seconds > self._cpu_allowed:
            what = f"{self._cpu_seconds:.2f} s of CPU time, {self._cpu_allowed:.2f} s were allowed"
            self._kill_for("cpu", what)
        elif self._anonymous_bytes(used) > limits.memory_mib * MIB:
            # The quick sum counts pages shared with this process once for each fork.
            exact = self._table.proportional_bytes(self._table.pids())
            if exact > limits.memory_mib * MIB:
                what = f"{exact // MIB} MiB of memory, {limits.memory_mib} MiB are allowed"
                self._kill_for("memory", what)

    def _anonymous_bytes(self, used: processes.Usage | None) -> int:
        assert self._running is not None
        if used is not None:
            return used.anonymous_bytes
        try:
            return self._table.anonymous_bytes(self._running.pid)
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def _kill_for(self, reason: control.Reason, detail: str) -> None:
        self._end()
        self._send(Died(reason, 0, detail, self._cpu_seconds))

    def _reap(self) -> None:
        """Wait for those that have ended: orphans, which this process inherits, or the program."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG | _WAIT_ALL)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._cpu_reaped += used.ru_utime + used.ru_stime
            if self._running is not None and pid == self._running.pid:
                self._report_end(status)
                return

    def _report_end(self, status: int) -> None:
        self._end()
        problem = _drain(self._status)  # no candidate ever held the other end
        reason: control.Reason = "setup" if problem else "exited"
        self._send(Died(reason, status, problem.decode("utf-8", "replace"), self._cpu_seconds))

    def _end(self) -> None:
        """Kill every process but this one, wait until they are gone, discard their files."""
        if os.getpid() != 1:
            raise RuntimeError("only the first process of a namespace may kill all others")
        with contextlib.suppress(ProcessLookupError):  # all have ended already
            os.kill(-1, signal.SIGKILL)
        while True:
            try:
                _, _, used = os.wait4(-1, _WAIT_ALL)
            except ChildProcessError:
                break
            self._cpu_reaped += used.ru_utime + used.ru_stime
        self._cpu_seconds = max(self._cpu_seconds, self._cpu_reaped)
        _drain(self._children)
        self._running = None
        if self._setup.nested:
            self._clear()

    def _send(self, reply: control.Reply) -> None:
        self._channel.send(control.encode(reply))


def _drain(descriptor: int) -> bytes:
    """Read what is there; nothing may be."""
    try:
        return os.read(descriptor, 4096)
    except BlockingIOError:
        return b""


def _open_last_pid(flags: int) -> int:
    """Open the counter of this namespace's process numbers; -1 where that is not possible."""
    try:
        return os.open("/proc/sys/kernel/ns_last_pid", flags)
    except OSError:
        return -1


def can_nest() -> bool:
    """Whether one program after another can run here without finding anything of those before."""
    try:
        with contextlib.suppress(OSError):
            syscalls.unmount("/proc/sys")  # bubblewrap's read-only cover
        _set_last_pid(_open_last_pid(os.O_RDWR))
        syscalls.mount_tmpfs(entry.SCRATCH, "size=4096,mode=700")
        syscalls.unmount(entry.SCRATCH)
    except OSError:
        return False
    return True


def _set_last_pid(counter: int) -> None:
    os.pwrite(counter, b"%d" % (_FIRST_PID - 1), 0)


def prepare(setup: Setup) -> None:
    """Import what candidates share, shed what they must not have.

    Raises:
        ImportError: a module to preload is missing.
        OSError: a right cannot be given up.
    """
    for name in setup.preload:
        importlib.import_module(name)
    # Should memory run out, the kernel kills candidates first. A single program's /proc is
    # read-only; then its size decides alone.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    if setup.nested or setup.uid is not None:  # else bubblewrap has left no right to do so
        syscalls.drop_bounding_set()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    os.environ.clear()
    os.environ.update(
        PATH=setup.path,
        HOME=entry.SCRATCH,
        TMPDIR=entry.SCRATCH,
        USER="candidate",
        PYTHONDONTWRITEBYTECODE="1",
        **entry.COMMON_ENVIRONMENT,
    )
    sys.dont_write_bytecode = True


def main(arguments: list[str]) -> None:
    """Serve the control socket whose number, and the setup that, the command line gives."""
    channel = socket.socket(fileno=int(arguments[0]))
    setup = msgspec.json.decode(arguments[1], type=Setup)
    if os.getpid() != 1:
        raise RuntimeError("a zygote must be the first process of a sandbox")
    # Before any thread of a preloaded module: none may take the signal from its descriptor.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
    # The kernel protects process 1 from signals that it has no handler for; Python has one here.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if setup.nested and not can_nest():
            channel.send(control.encode(Ready()))
            return
        prepare(setup)
        zygote = Zygote(channel, setup)
        syscalls.prctl(
            syscalls.PR_SET_DUMPABLE, 0
        )  # not even a candidate of the same user may look
        zygote.settle()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        channel.send(control.encode(Ready(problem=problem)))
        return
    channel.send(control.encode(Ready(nested=setup.nested)))
    zygote.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
