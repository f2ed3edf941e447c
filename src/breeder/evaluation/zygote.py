"""A pre-warmed fork server inside the sandbox: starts candidates in milliseconds, watches them.

Runs as process 1 of the sandbox's process namespace, with numpy and the task's preloaded modules
imported. Each program is a fork that enters process and mount namespaces of its own (`init`),
so programs neither see nor outlive each other. While one runs, its process tree is sampled from
outside of it and killed for using too much CPU time, memory or too many tasks.
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

from breeder.evaluation import control, init, processes, seccomp, syscalls
from breeder.evaluation.control import Allow, Died, Kill, Ready, Sampled, Setup, Start, Usage
from breeder.evaluation.limits import MIB
from breeder.evaluation.sandbox import Limits

SAMPLE_SECONDS = 0.02


class Running(NamedTuple):
    """A program: its init process, where that reports, and its limits."""

    pid: int
    pidfd: int
    status: int
    limits: Limits


class Zygote:
    """Serves one control socket."""

    def __init__(self, channel: socket.socket, setup: Setup) -> None:
        self._channel = channel
        self._setup = setup
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY) if setup.nested else -1
        target = seccomp.architecture()
        self._confinement = init.Confinement(
            setup,
            seccomp.filter_program(target),
            target.numbers["seccomp"],
            processes.virtual_bytes(),
        )
        self._running: Running | None = None
        self._cpu_allowed = 0.0
        self._cpu_seconds = 0.0

    def serve(self) -> None:
        """Answer requests until the other end is gone."""
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        watched = -1
        next_sample = 0.0
        while True:
            current = self._running.pidfd if self._running else -1
            if current != watched:
                if watched >= 0:
                    poller.unregister(watched)
                    os.close(watched)
                if current >= 0:
                    poller.register(current, select.POLLIN)
                    next_sample = time.monotonic() + SAMPLE_SECONDS
                watched = current
            wait = max(0.0, next_sample - time.monotonic()) * 1000 if current >= 0 else None
            ready = {descriptor for descriptor, _ in poller.poll(wait)}
            if current in ready:
                self._report_end()
            if self._channel.fileno() in ready and not self._answer():
                return
            if self._running and time.monotonic() >= next_sample:
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
            self._sample()
            self._cpu_allowed = self._cpu_seconds + request.cpu_seconds
        elif isinstance(request, Usage):
            if self._running is not None:
                self._check_limits()
            self._send(Sampled(self._cpu_seconds))
        elif isinstance(request, Kill):
            if self._running is not None:
                self._sample()
                self._end()
            self._send(Sampled(self._cpu_seconds))
        return True

    def _start(self, limits: Limits, descriptors: list[int]) -> None:
        self._cpu_allowed = limits.cpu_seconds
        self._cpu_seconds = 0.0
        status, status_end = os.pipe()
        if self._setup.nested:
            syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            data, output = descriptors
            init.run(self._confinement, limits, init.Descriptors(data, output, status_end))
        if self._setup.nested:
            syscalls.setns(self._own_pids, syscalls.CLONE_NEWPID)
        for descriptor in (*descriptors, status_end):
            os.close(descriptor)
        self._running = Running(pid, os.pidfd_open(pid), status, limits)

    def _sample(self) -> processes.Usage:
        used = processes.usage(processes.all_pids())
        # A process that is just being reaped may be missing from one sample.
        self._cpu_seconds = max(self._cpu_seconds, used.cpu_seconds)
        return used

    def _check_limits(self) -> None:
        assert self._running is not None
        limits = self._running.limits
        used = self._sample()
        tasks = used.tasks - 1  # without the init process
        if tasks > limits.processes:
            what = f"{tasks} processes and threads, {limits.processes} are allowed"
            self._kill_for("processes", what)
        elif self._cpu_seconds > self._cpu_allowed:
            what = f"{self._cpu_seconds:.2f} s of CPU time, {self._cpu_allowed:.2f} s were allowed"
            self._kill_for("cpu", what)
        elif used.anonymous_bytes > limits.memory_mib * MIB:
            # The quick sum counts pages shared with this process once for each fork.
            exact = processes.proportional_bytes(processes.all_pids())
            if exact > limits.memory_mib * MIB:
                what = f"{exact // MIB} MiB of memory, {limits.memory_mib} MiB are allowed"
                self._kill_for("memory", what)

    def _kill_for(self, reason: control.Reason, detail: str) -> None:
        self._end()
        self._send(Died(reason, 0, detail, self._cpu_seconds))

    def _report_end(self) -> None:
        assert self._running is not None
        report = os.read(self._running.status, 4096)
        self._sample()
        self._end()
        if len(report) < init.STATUS.size:
            died = Died("lost", 0, "", self._cpu_seconds)
        else:
            kind, status = init.STATUS.unpack_from(report)
            text = report[init.STATUS.size :].decode("utf-8", "replace")
            reason: control.Reason = "exited" if kind == b"S" else "setup"
            died = Died(reason, status, text, self._cpu_seconds)
        self._send(died)

    def _end(self) -> None:
        """Kill every process but this one, wait until they are gone, and settle the CPU time."""
        assert self._running is not None
        if os.getpid() != 1:
            raise RuntimeError("only the first process of a namespace may kill all others")
        with contextlib.suppress(ProcessLookupError):  # all have ended already
            os.kill(-1, signal.SIGKILL)
        cpu_seconds = 0.0
        while True:
            try:
                _, _, used = os.wait4(-1, 0)
            except ChildProcessError:
                break
            cpu_seconds += used.ru_utime + used.ru_stime
        self._cpu_seconds = max(self._cpu_seconds, cpu_seconds)
        os.close(self._running.status)
        self._running = None

    def _send(self, reply: control.Reply) -> None:
        self._channel.send(control.encode(reply))


def prepare(setup: Setup) -> None:
    """Import what candidates share, shed what they must not have, and freeze the heap.

    Raises:
        ImportError: a module to preload is missing.
        OSError: a right cannot be given up.
    """
    for name in setup.preload:
        importlib.import_module(name)
    # Touch what every candidate uses first, once instead of in each.
    random.seed(0)
    np.random.seed(0)
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
        HOME=init.SCRATCH,
        TMPDIR=init.SCRATCH,
        USER="candidate",
        PYTHONDONTWRITEBYTECODE="1",
        **init.COMMON_ENVIRONMENT,
    )
    sys.dont_write_bytecode = True
    # Candidates switch collection on again; here it would only touch pages that they share.
    gc.collect()
    gc.disable()
    gc.freeze()


def can_nest() -> bool:
    """Whether candidates can have namespaces of their own. Tried in a child, leaves no trace."""
    child = os.fork()
    if child == 0:
        try:
            syscalls.unshare(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS)
            syscalls.unmount("/proc")
            syscalls.mount_tmpfs(init.SCRATCH, "size=4096,mode=700")
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def main(arguments: list[str]) -> None:
    """Serve the control socket whose number, and the setup that, the command line gives."""
    channel = socket.socket(fileno=int(arguments[0]))
    setup = msgspec.json.decode(arguments[1], type=Setup)
    if os.getpid() != 1:
        raise RuntimeError("a zygote must be the first process of a sandbox")
    try:
        if setup.nested and not can_nest():
            channel.send(control.encode(Ready()))
            return
        prepare(setup)
        zygote = Zygote(channel, setup)
        syscalls.prctl(
            syscalls.PR_SET_DUMPABLE, 0
        )  # not even a candidate of the same user may look
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        channel.send(control.encode(Ready(problem=problem)))
        return
    channel.send(control.encode(Ready(nested=setup.nested)))
    zygote.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
