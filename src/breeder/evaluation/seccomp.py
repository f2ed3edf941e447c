"""The system calls that candidates may not make, as a BPF program (seccomp(2)).

Everything that Python, numpy and compilers need is allowed; what is refused answers EPERM, so that
a program sees an ordinary PermissionError. Limits, priorities and scheduling of other processes
are out of reach: in a user namespace the zygote is process 1 of the same user, and what was changed
there would hold for later programs. Three rules are there for the accounting:

* SIGCHLD's action cannot be changed (the call pretends to succeed): a process that ignored it
  would have its children reaped without their CPU time ever being added up;
* shared memory without a file behind it is refused (memfd, System V, anonymous shared mappings):
  it can be filled while no process maps it, where no limit would see it. Extended attributes are
  refused for the same reason: those of the memory that the evaluator shares know no limit;
* clone3 answers ENOSYS, because its flags lie in memory where a filter cannot read them; libraries
  fall back to clone, whose flags can be checked.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Mapping
from typing import NamedTuple

_EPERM = 1
_ENOSYS = 38
_RET_ALLOW = 0x7FFF0000
_RET_ERRNO = 0x00050000
_RET_KILL_PROCESS = 0x80000000

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT = 0x05, 0x15, 0x35, 0x45
_INSTRUCTION_BYTES = 8
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16

_AF_UNIX = 1
_SIGCHLD = 17
_MAP_SHARED_ANONYMOUS = 0x21
_MADV_PAGEOUT = 21
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone(2) knows
_X32_BIT = 0x40000000
_ZYGOTE_PID = 1
_PRIO_PROCESS, _IOPRIO_WHO_PROCESS = 0, 1

_COMMON: Mapping[str, int] = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443,
    "memfd_secret": 447, "process_mrelease": 448, "clone3": 435, "setxattrat": 463,
}  # fmt: skip
_X86_64: Mapping[str, int] = {
    "ptrace": 101, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272,
    "setns": 308, "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "process_vm_readv": 310, "process_vm_writev": 311,
    "kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313,
    "delete_module": 176, "reboot": 169, "swapon": 167, "swapoff": 168, "settimeofday": 164,
    "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "acct": 163, "quotactl": 179,
    "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "modify_ldt": 154,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "kcmp": 312, "memfd_create": 319,
    "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66,
    "semtimedop": 220, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240,
    "fanotify_init": 300, "syslog": 103, "vhangup": 153, "personality": 135, "move_pages": 279,
    "migrate_pages": 256, "socket": 41, "connect": 42, "bind": 49, "listen": 50,
    "socketpair": 53, "clone": 56, "rt_sigaction": 13, "mmap": 9, "madvise": 28, "seccomp": 317,
    "prlimit64": 302, "setpriority": 141, "ioprio_set": 251, "sched_setparam": 142,
    "sched_setscheduler": 144, "sched_setattr": 314, "sched_setaffinity": 203,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
}  # fmt: skip
_AARCH64: Mapping[str, int] = {
    "ptrace": 117, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97,
    "setns": 268, "keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280,
    "perf_event_open": 241, "userfaultfd": 282, "process_vm_readv": 270, "process_vm_writev": 271,
    "kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273,
    "delete_module": 106, "reboot": 142, "swapon": 224, "swapoff": 225, "settimeofday": 170,
    "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266, "acct": 89, "quotactl": 60,
    "sethostname": 161, "setdomainname": 162, "name_to_handle_at": 264, "open_by_handle_at": 265,
    "kcmp": 272, "memfd_create": 279, "shmget": 194, "shmctl": 195, "shmat": 196, "semget": 190,
    "semctl": 191, "semtimedop": 192, "semop": 193, "msgget": 186, "msgctl": 187, "msgrcv": 188,
    "msgsnd": 189, "mq_open": 180, "fanotify_init": 262, "syslog": 116, "vhangup": 58,
    "personality": 92, "move_pages": 239, "migrate_pages": 238, "socket": 198, "connect": 203,
    "bind": 200, "listen": 201, "socketpair": 199, "clone": 220, "rt_sigaction": 134, "mmap": 222,
    "madvise": 233, "seccomp": 277, "prlimit64": 261, "setpriority": 140, "ioprio_set": 30,
    "sched_setparam": 118, "sched_setscheduler": 119, "sched_setattr": 274,
    "sched_setaffinity": 122, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7,
}  # fmt: skip


_SCHEDULING = ("sched_setparam", "sched_setscheduler", "sched_setattr", "sched_setaffinity")


class Architecture(NamedTuple):
    """An instruction set: its audit number and its system calls by name."""

    audit: int
    numbers: Mapping[str, int]


ARCHITECTURES: Mapping[str, Architecture] = {
    "x86_64": Architecture(0xC000003E, {**_COMMON, **_X86_64}),
    "aarch64": Architecture(0xC00000B7, {**_COMMON, **_AARCH64}),
}


def architecture(machine: str | None = None) -> Architecture:
    """Return the architecture of this machine, or of `machine`.

    Raises:
        OSError: there is no list of system calls for it.
    """
    name = machine or platform.machine()
    if name not in ARCHITECTURES:
        raise OSError(f"no system-call filter for {name}, only for {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def filter_program(target: Architecture) -> bytes:
    """Return the filter as BPF instructions (struct sock_filter, 8 bytes each).

    System calls are looked up by binary search: the kernel tries every number once when a filter is
    installed, which takes as long as starting a process where each is compared with a whole list.
    """
    numbers = target.numbers
    rules = {number: _refuse() for number in numbers.values()}
    rules.update({numbers[name]: body for name, body in _conditional_rules().items()})
    borders: list[tuple[int, bytes]] = [(0, _allow())]
    for number, body in sorted(rules.items()):
        if borders[-1] == (number, _allow()):
            borders.pop()
        if not borders or borders[-1][1] != body:
            borders.append((number, body))
        borders.append((number + 1, _allow()))
    # x32 numbers; no other architecture has numbers this large.
    borders.append((_X32_BIT, _refuse()))
    head = [
        _load(_ARCHITECTURE),
        _instruction(_JUMP_EQUAL, target.audit, then=1),
        _return(_RET_KILL_PROCESS),
        _load(_NUMBER),
    ]
    return b"".join(head) + _search(borders)


def _search(borders: list[tuple[int, bytes]]) -> bytes:
    """Decide by number: each body holds from its border up to the next one."""
    if len(borders) == 1:
        return borders[0][1]
    middle = len(borders) // 2
    below, above = _search(borders[:middle]), _search(borders[middle:])
    distance = len(below) // _INSTRUCTION_BYTES
    if distance < 256:
        return _instruction(_JUMP_AT_LEAST, borders[middle][0], then=distance) + below + above
    # Conditional jumps reach 255 instructions, others any distance.
    over = _instruction(_JUMP_AT_LEAST, borders[middle][0], otherwise=1)
    return over + _instruction(_JUMP, distance) + below + above


def _conditional_rules() -> Mapping[str, bytes]:
    """Bodies for the system calls that are refused for some arguments only; each returns."""
    return {
        "clone3": _return(_RET_ERRNO | _ENOSYS),
        "clone": _argument(0)
        + _instruction(_JUMP_ANY_BIT, _NEW_NAMESPACES, otherwise=1)
        + _refuse()
        + _allow(),
        "socketpair": _argument(0)
        + _instruction(_JUMP_EQUAL, _AF_UNIX, then=1)
        + _refuse()
        + _allow(),
        "rt_sigaction": _argument(0)
        + _instruction(_JUMP_EQUAL, _SIGCHLD, then=1)
        + _allow()
        + _argument(1)  # to ask, without a new action, is allowed
        + _instruction(_JUMP_EQUAL, 0, otherwise=3)
        + _load(_FIRST_ARGUMENT + 8 + 4)
        + _instruction(_JUMP_EQUAL, 0, otherwise=1)
        + _allow()
        + _return(_RET_ERRNO),
        "mmap": _argument(3)
        + _instruction(_AND, _MAP_SHARED_ANONYMOUS)
        + _instruction(_JUMP_EQUAL, _MAP_SHARED_ANONYMOUS, otherwise=1)
        + _refuse()
        + _allow(),
        "madvise": _argument(2)
        + _instruction(_JUMP_EQUAL, _MADV_PAGEOUT, otherwise=1)
        + _refuse()
        + _allow(),
        # Own limits by number 0 only: the thread of another process would do as its number.
        "prlimit64": _argument(0) + _instruction(_JUMP_EQUAL, 0, then=1) + _refuse() + _allow(),
        "setpriority": _one_process(_PRIO_PROCESS),
        "ioprio_set": _one_process(_IOPRIO_WHO_PROCESS),
        **dict.fromkeys(_SCHEDULING, _argument(0) + _refuse_zygote()),
    }


def _one_process(kind: int) -> bytes:
    """Refuse groups and users, which may hold the zygote, and the zygote itself."""
    only = _argument(0) + _instruction(_JUMP_EQUAL, kind, then=1) + _refuse()
    return only + _argument(1) + _refuse_zygote()


def _refuse_zygote() -> bytes:
    return _instruction(_JUMP_EQUAL, _ZYGOTE_PID, otherwise=1) + _refuse() + _allow()


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _argument(index: int) -> bytes:
    return _load(_FIRST_ARGUMENT + 8 * index)  # low half; both architectures are little-endian


def _return(value: int) -> bytes:
    return _instruction(_RETURN, value)


def _refuse() -> bytes:
    return _return(_RET_ERRNO | _EPERM)


def _allow() -> bytes:
    return _return(_RET_ALLOW)
