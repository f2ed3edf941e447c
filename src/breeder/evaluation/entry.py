"""How a fork of the zygote becomes a candidate: it gives up every right, then serves as its worker.

The fork holds the zygote's rights for a moment and runs none of the candidate's code meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import signal
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
    # Threads of a pool sleep between calls; spinning would be work outside of the clock.
    "OMP_WAIT_POLICY": "passive",
    "TRITON_INTERPRET": "1",  # no GPU is visible: kernels in Triton run in its interpreter
    "PYTHONHASHSEED": "0",  # the order of sets is the same in every slot and every run
}
_OWN_FAILURE = 70
_WORKER_CHANNEL = 3
_HIGH_DESCRIPTOR = 64


class Descriptors(NamedTuple):
    """What a program is started with: its data socket, its output pipe, where problems are told."""

    data: int
    output: int
    status: int


class Confinement(NamedTuple):
    """What the zygote prepares once for all candidates."""

    setup: Setup
    filter_program: bytes
    seccomp_number: int
    base_bytes: int
    null: int


def run(confinement: Confinement, limits: Limits, descriptors: Descriptors) -> NoReturn:
    """Become a candidate. Called right after a fork; never returns."""
    try:
        # Out of the way of the numbers that the worker uses.
        moved = Descriptors(
            *(fcntl.fcntl(one, fcntl.F_DUPFD, _HIGH_DESCRIPTOR) for one in descriptors)
        )
    except BaseException as error:
        _report(descriptors.status, error)
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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
    os.setsid()
    os.dup2(confinement.null, 0)
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


def _report(status: int, error: BaseException) -> NoReturn:
    try:
        os.write(status, str(error).encode("utf-8", "replace")[:1000] or b"unknown")
    finally:
        os._exit(_OWN_FAILURE)
