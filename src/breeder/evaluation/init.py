"""The first process of a candidate's namespaces: sets them up, starts the worker, reaps orphans.

It is trusted, runs none of the candidate's code and dies with it. When it ends, the kernel kills
whatever is left in its process namespace.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import NamedTuple, NoReturn

from breeder.evaluation import limits as process_limits
from breeder.evaluation import syscalls, worker
from breeder.evaluation.control import Setup
from breeder.evaluation.sandbox import Limits

SCRATCH = "/scratch"
COMMON_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # the order of sets is the same in every slot and every run
}
STATUS = struct.Struct("<ci")
"""What goes down the status pipe: b"S" and the wait status; or b"!", 0 and a text."""

_WAIT_ALL = 0x40000000  # __WALL: children with any exit signal
_OWN_FAILURE = 70
_WORKER_CHANNEL = 3
_HIGH_DESCRIPTOR = 64
_MIB = 1 << 20


class Descriptors(NamedTuple):
    """What a program is started with."""

    data: int
    output: int
    status: int


class Confinement(NamedTuple):
    """What the zygote prepares once for all candidates."""

    setup: Setup
    filter_program: bytes
    seccomp_number: int
    base_bytes: int


def run(confinement: Confinement, limits: Limits, descriptors: Descriptors) -> NoReturn:
    """Become the init process of a candidate. Called right after a fork; never returns."""
    try:
        _enter(confinement.setup, limits)
        candidate = os.fork()
        if candidate == 0:
            _become_worker(confinement, limits, descriptors)
        os.close(descriptors.data)
        os.close(descriptors.output)
        status = _reap_until(candidate)
        os.write(descriptors.status, STATUS.pack(b"S", status))
        if confinement.setup.nested:
            _end_all()
        os._exit(0)
    except BaseException as error:
        _report(descriptors.status, error)


def _enter(setup: Setup, limits: Limits) -> None:
    if not setup.nested:
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        return
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.unmount("/proc")
    owner = os.getuid() if setup.uid is None else setup.uid
    group = os.getgid() if setup.uid is None else setup.uid
    syscalls.mount_tmpfs(
        SCRATCH,
        f"size={limits.scratch_mib * _MIB},nr_inodes=16384,mode=700,uid={owner},gid={group}",
    )


def _become_worker(confinement: Confinement, limits: Limits, descriptors: Descriptors) -> NoReturn:
    # Out of the way of the numbers that the worker uses.
    moved = Descriptors(*(fcntl.fcntl(one, fcntl.F_DUPFD, _HIGH_DESCRIPTOR) for one in descriptors))
    try:
        _confine(confinement, limits, moved)
    except BaseException as error:
        _report(moved.status, error)
    # From here on the process holds no right and no descriptor that could reach outside.
    try:
        worker.serve(_WORKER_CHANNEL, SCRATCH)
    finally:
        os._exit(_OWN_FAILURE)


def _confine(confinement: Confinement, limits: Limits, descriptors: Descriptors) -> None:
    setup = confinement.setup
    os.setsid()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(descriptors.output, 1)
    os.dup2(descriptors.output, 2)
    os.dup2(descriptors.data, _WORKER_CHANNEL, inheritable=False)
    os.chdir(SCRATCH)
    if setup.uid is not None:
        os.setgroups([])
        os.setresgid(setup.uid, setup.uid, setup.uid)
        os.setresuid(setup.uid, setup.uid, setup.uid)
        if os.getresuid() != (setup.uid,) * 3 or setup.uid == 0:
            raise PermissionError("the candidate would run as the wrong user")
    process_limits.apply(
        limits, base_bytes=confinement.base_bytes, limit_processes=setup.limit_processes
    )
    syscalls.drop_capabilities()
    # Lets the zygote read its exact memory use; tracing is refused by the filter.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.install_filter(confinement.filter_program, confinement.seccomp_number)
    syscalls.close_from(_WORKER_CHANNEL + 1)


def _reap_until(candidate: int) -> int:
    while True:
        pid, status = os.waitpid(-1, _WAIT_ALL)
        if pid == candidate:
            return status


def _end_all() -> None:
    """Kill and wait for everything in this namespace, so that its CPU time is counted."""
    if os.getpid() != 1:
        raise RuntimeError("only the first process of a namespace may kill all others")
    os.kill(-1, 9)
    try:
        while True:
            os.waitpid(-1, _WAIT_ALL)
    except ChildProcessError:
        return


def _report(status: int, error: BaseException) -> NoReturn:
    try:
        os.write(status, STATUS.pack(b"!", 0) + str(error).encode("utf-8", "replace")[:1000])
    finally:
        os._exit(_OWN_FAILURE)
