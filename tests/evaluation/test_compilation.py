from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from breeder.core import FailureKind
from breeder.errors import SandboxUnavailableError
from breeder.evaluation import native_loop
from breeder.evaluation.bubblewrap import BubblewrapSandbox
from breeder.evaluation.compilation import Binaries, Compiler
from breeder.evaluation.program import RunningProgram
from breeder.evaluation.sandbox import (
    CandidateFailedError,
    Limits,
    NativeFunction,
    ProgramSpec,
)
from conformance.sandbox import LIMITS, call


class Counting(BubblewrapSandbox):
    """A sandbox that counts the workers that it starts."""

    started = 0

    def _run(self, limits: Limits) -> RunningProgram:
        self.started += 1
        return super()._run(limits)


@pytest.fixture(scope="module")
def counting() -> Iterator[Counting]:
    sandbox = Counting(slot=10)
    yield sandbox
    sandbox.close()


def native(source: str) -> ProgramSpec:
    return ProgramSpec(
        {"main.c": source}, "main.c", "native", {"f": NativeFunction(("int32",), "int32")},
        ("gcc", "-shared", "-fPIC", "-o", "{output}", "main.c"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def with_loops(counting: Counting) -> Counting:
    """The same, when the loops for these programs' functions have been compiled."""
    counting.start(native("int f(int x) { return x; }"), LIMITS).close()
    return counting


def test_equal_sources_are_compiled_once_and_compiling_is_paid_for(with_loops: Counting) -> None:
    counting = with_loops
    spec = native("int f(int x) { return x + 1; }")
    workers, costs = [], []
    for _ in range(2):
        before = counting.started
        program = counting.start(spec, LIMITS)
        assert call(program, 1) == 2
        program.close()
        workers.append(counting.started - before)
        costs.append(program.cost().cpu_seconds)
    assert workers == [2, 1]
    assert costs[0] > costs[1]


def test_sandboxes_may_share_what_was_compiled() -> None:
    binaries, workers = Binaries(), []
    for slot in (11, 12):
        sandbox = Counting(slot=slot, binaries=binaries)
        try:
            assert call(sandbox.start(native("int f(int x) { return x - 1; }"), LIMITS), 1) == 0
        finally:
            sandbox.close()
        workers.append(sandbox.started)
    assert workers == [3, 1]


def test_loops_that_make_calls_are_compiled_once_for_the_same_signatures() -> None:
    sandbox, workers = Counting(slot=13), []
    types = NativeFunction(("float64",), "float64")
    other = dataclasses.replace(native("double f(double x) { return x; }"), functions={"f": types})
    try:
        for spec in (native("int f(int x) { return x; }"), native("int f(int x) { return 4; }"),
                     other):  # fmt: skip
            before = sandbox.started
            sandbox.start(spec, LIMITS).close()
            workers.append(sandbox.started - before)
    finally:
        sandbox.close()
    assert workers == [3, 2, 3]


def test_loops_that_cannot_be_compiled_are_no_failure_of_the_program(
    with_loops: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_loop, "source", lambda functions: "no C")
    with pytest.raises(SandboxUnavailableError, match=r"loop .* cannot be compiled: compile: loop"):
        with_loops.start(native("int f(int x) { return x + 9; }"), LIMITS)


def test_binaries_that_were_not_used_for_long_are_dropped() -> None:
    binaries = Binaries()
    for number in range(32):
        binaries.keep(b"%d" % number, b"")
    assert binaries.find(b"0") is not None
    binaries.keep(b"one more", b"")
    assert binaries.find(b"0") is not None
    assert binaries.find(b"1") is None


def test_other_sources_and_other_flags_are_compiled_anew(with_loops: Counting) -> None:
    counting, before = with_loops, with_loops.started
    for source in ("int f(int x) { return x + 2; }", "int f(int x) { return x + 3; }"):
        counting.start(native(source), LIMITS).close()
    assert counting.started - before == 4


def test_a_compiler_that_is_not_there_is_a_compile_failure(counting: Counting) -> None:
    spec = ProgramSpec({"a.x": ""}, "a.x", "native", {}, ("no-such-compiler", "{output}"))
    with pytest.raises(CandidateFailedError) as caught:
        counting.start(spec, LIMITS)
    assert caught.value.failure.kind is FailureKind.COMPILE
    assert "no-such-compiler" in caught.value.failure.detail


def test_a_compiled_command_is_run(counting: Counting) -> None:
    source = '#include <stdio.h>\nint main(void) { puts("[1, 2]"); return 0; }\n'
    spec = ProgramSpec(
        {"main.c": source}, "main.c", "command", {}, ("gcc", "-o", "{output}", "main.c"),
        ("./program",),
    )  # fmt: skip
    program = counting.start(spec, LIMITS)
    assert call(program) == [1, 2]
    program.close()


def test_bad_paths_never_reach_a_worker() -> None:
    def refuse(limits: Limits) -> RunningProgram:
        raise AssertionError("a worker was started")

    with pytest.raises(ValueError, match="scratch"):
        Compiler(refuse).start(ProgramSpec({"../x": ""}, "../x", "python"), LIMITS)
