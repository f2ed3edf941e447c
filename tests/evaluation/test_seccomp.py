from __future__ import annotations

import platform
import struct

import pytest

from breeder.evaluation import seccomp
from breeder.evaluation.seccomp import ARCHITECTURES, Architecture

ALLOWED, REFUSED, PRETENDED, UNKNOWN, KILLED = 0x7FFF0000, 0x50001, 0x50000, 0x50026, 0x80000000


def decide(target: Architecture, number: int, *arguments: int, audit: int | None = None) -> int:
    """Run the filter as the kernel would; returns its verdict."""
    program = seccomp.filter_program(target)
    six = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, target.audit if audit is None else audit, 0, *six)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    counter = accumulator = 0
    while True:
        operation, then, otherwise, value = code[counter]
        counter += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x05:
            counter += value
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[operation]
            counter += then if holds else otherwise


@pytest.fixture(params=sorted(ARCHITECTURES))
def target(request: pytest.FixtureRequest) -> Architecture:
    return ARCHITECTURES[request.param]


SCHEDULING = ("sched_setparam", "sched_setscheduler", "sched_setattr", "sched_setaffinity")
CONDITIONAL = (
    "clone", "clone3", "socketpair", "rt_sigaction", "mmap", "madvise", "prlimit64", "setpriority",
    "ioprio_set", *SCHEDULING,
)  # fmt: skip


def test_listed_calls_are_refused_and_no_others(target: Architecture) -> None:
    conditional = {target.numbers[name] for name in CONDITIONAL}
    listed = set(target.numbers.values()) - conditional
    for number in set(range(500)) - conditional:
        assert decide(target, number) == (REFUSED if number in listed else ALLOWED)


def test_other_architectures_are_killed_and_x32_numbers_refused(target: Architecture) -> None:
    assert decide(target, 1, audit=0x40000003) == KILLED
    assert decide(target, 0x40000000 + 1) == REFUSED


def test_clone_may_make_processes_and_threads_but_no_namespaces(target: Architecture) -> None:
    clone = target.numbers["clone"]
    assert decide(target, clone, 17) == decide(target, clone, 0x3D0F00) == ALLOWED
    for bit in (17, *range(25, 31)):
        assert decide(target, clone, 1 << bit | 17) == REFUSED
    assert decide(target, target.numbers["clone3"]) == UNKNOWN


def test_socket_pairs_are_local(target: Architecture) -> None:
    pair = target.numbers["socketpair"]
    assert decide(target, pair, 1) == ALLOWED
    assert decide(target, pair, 2) == decide(target, pair, 16) == REFUSED


def test_the_action_of_sigchld_stays(target: Architecture) -> None:
    action = target.numbers["rt_sigaction"]
    assert decide(target, action, 17, 0x1000) == PRETENDED
    assert decide(target, action, 17, 1 << 40) == PRETENDED
    assert decide(target, action, 17, 0) == ALLOWED
    assert decide(target, action, 2, 0x1000) == ALLOWED


def test_anonymous_shared_memory_is_refused(target: Architecture) -> None:
    mapping = target.numbers["mmap"]
    assert decide(target, mapping, 0, 0, 0, 0x21) == REFUSED
    assert decide(target, mapping, 0, 0, 0, 0x23) == REFUSED
    assert decide(target, mapping, 0, 0, 0, 0x22) == ALLOWED
    assert decide(target, mapping, 0, 0, 0, 0x01) == ALLOWED


def test_an_unknown_machine_is_an_error() -> None:
    with pytest.raises(OSError, match="riscv64"):
        seccomp.architecture("riscv64")
    assert platform.machine() not in ARCHITECTURES or seccomp.architecture().numbers


def test_limits_and_scheduling_of_the_zygote_are_out_of_reach(target: Architecture) -> None:
    for name in SCHEDULING:
        assert decide(target, target.numbers[name], 1) == REFUSED
        assert decide(target, target.numbers[name], 0) == ALLOWED
        assert decide(target, target.numbers[name], 7) == ALLOWED
    limits = target.numbers["prlimit64"]
    assert decide(target, limits, 0) == ALLOWED
    assert decide(target, limits, 1) == decide(target, limits, 3) == REFUSED
    for name, process in (("setpriority", 0), ("ioprio_set", 1)):
        number = target.numbers[name]
        assert decide(target, number, process, 0) == decide(target, number, process, 7) == ALLOWED
        assert decide(target, number, process, 1) == REFUSED
        assert decide(target, number, process + 1, 0) == REFUSED
        assert decide(target, number, process + 2, 0) == REFUSED
