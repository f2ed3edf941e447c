"""What every sandbox promises, with isolation or without: data, failures, limits, cost.

Every program here is harmless: it runs without isolation too. `sandbox_isolation` adds the rest.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from breeder.core import Failure, FailureKind
from breeder.evaluation.sandbox import (
    CandidateFailedError,
    Limits,
    NativeFunction,
    ProgramSpec,
    Sandbox,
    SandboxedProgram,
)

LIMITS = Limits(
    cpu_seconds=3.0, wall_seconds=60.0, memory_mib=256, scratch_mib=32, file_mib=16, processes=8,
    output_kib=64, answer_mib=4, source_kib=256, compile_seconds=20.0,
)  # fmt: skip


def limits(**changes: float) -> Limits:
    """The limits of these tests with some changed."""
    return dataclasses.replace(LIMITS, **changes)


def python(source: str | bytes, **fields: Any) -> ProgramSpec:
    """A program of one Python file."""
    return ProgramSpec({"main.py": source}, "main.py", "python", **fields)


def start(sandbox: Sandbox, source: str, allowed: Limits = LIMITS) -> SandboxedProgram:
    """Start a program of one Python file."""
    return sandbox.start(python(source), allowed)


def call(program: SandboxedProgram, *arguments: Any, cpu: float = 5.0, wall: float = 60.0) -> Any:
    """Call the function `f`; the wall time is generous, as the machine may be busy."""
    return program.call("f", *arguments, cpu_seconds=cpu, wall_seconds=wall)


def run(sandbox: Sandbox, source: str, *arguments: Any, allowed: Limits = LIMITS) -> Any:
    """Start a program, call `f`, end it."""
    program = start(sandbox, source, allowed)
    try:
        return call(program, *arguments)
    finally:
        program.close()


def fail(
    sandbox: Sandbox,
    source: str | bytes,
    *,
    allowed: Limits = LIMITS,
    cpu: float = 5.0,
    wall: float = 60.0,
) -> Failure:
    """Start a program and call `f`; return the failure, which it must come to."""
    program = None
    with pytest.raises(CandidateFailedError) as caught:  # noqa: PT012 -- either step may raise
        program = sandbox.start(python(source), allowed)
        call(program, cpu=cpu, wall=wall)
    if program is not None:
        program.close()
    return caught.value.failure


ECHO = "def f(value):\n    return value\n"


class SandboxConformance:
    """Subclass it and provide the fixture `sandbox`; one sandbox may serve all checks."""

    @pytest.fixture(autouse=True)
    def _serves_afterwards(self, sandbox: Sandbox) -> Any:
        yield
        assert run(sandbox, ECHO, 1) == 1

    @pytest.mark.parametrize(
        "value",
        [None, True, 0, -(2**63), 2**63 - 1, 1.5, "", "ä\0€", b"\0\xff", [], {}, [1, [2, "x"]]],
    )
    def test_plain_data_comes_back_equal(self, sandbox: Sandbox, value: Any) -> None:
        assert run(sandbox, ECHO, {"value": value}) == {"value": value}

    def test_nan_and_infinities_are_data(self, sandbox: Sandbox) -> None:
        values = run(sandbox, ECHO, [math.nan, math.inf, -math.inf])
        assert math.isnan(values[0])
        assert values[1:] == [math.inf, -math.inf]

    def test_arrays_keep_dtype_shape_and_values(self, sandbox: Sandbox) -> None:
        arrays = [
            np.arange(6, dtype=np.int16).reshape(2, 3), np.zeros((0, 4)), np.array(2.5),
            np.array([True, False]), np.array([1 + 2j]), np.arange(8.0).reshape(2, 4).T,
        ]  # fmt: skip
        for sent, back in zip(arrays, run(sandbox, ECHO, arrays), strict=True):
            assert back.dtype == sent.dtype
            np.testing.assert_array_equal(back, sent)

    def test_numpy_scalars_come_back_as_numbers(self, sandbox: Sandbox) -> None:
        source = "import numpy as np\ndef f(): return [np.float64(1.5), np.int8(2), np.bool_(True)]"
        assert run(sandbox, source) == [1.5, 2, True]

    def test_tuples_come_back_as_lists(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "def f(): return (1, (2, 3))") == [1, [2, 3]]

    def test_state_lasts_from_call_to_call(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "count = 0\ndef f():\n    global count\n    count += 1\n"
                        "    return count")  # fmt: skip
        assert [call(program) for _ in range(3)] == [1, 2, 3]
        program.close()

    def test_state_ends_with_the_program(self, sandbox: Sandbox) -> None:
        source = (
            "import builtins, os\ndef f():\n    seen = [getattr(builtins, 'leak', 0), "
            "sorted(os.listdir('.'))]\n    builtins.leak = 1\n    open('left', 'w').close()\n"
            "    return seen"
        )
        assert run(sandbox, source) == run(sandbox, source) == [0, ["main.py"]]

    def test_several_files_can_be_imported(self, sandbox: Sandbox) -> None:
        part = "def g(): return open('data/n.bin', 'rb').read()"
        main = "from part import g\ndef f(): return g()"
        files = {"src/main.py": main, "src/part.py": part, "data/n.bin": b"\0\xff"}
        program = sandbox.start(ProgramSpec(files, "src/main.py", "python"), LIMITS)
        assert call(program) == b"\0\xff"
        program.close()

    def test_generators_are_seeded(self, sandbox: Sandbox) -> None:
        source = "import random, numpy as np\ndef f(): return [random.random(), np.random.rand()]"
        drawn = []
        for seed in (1, 1, 2):
            program = sandbox.start(python(source, seed=seed), LIMITS)
            drawn.append(call(program))
            program.close()
        assert drawn[0] == drawn[1] != drawn[2]

    def test_the_order_of_sets_is_the_same_in_every_program(self, sandbox: Sandbox) -> None:
        source = "def f(): return list({'a', 'b', 'c', 'd', 'e', 'f'})"
        assert run(sandbox, source) == run(sandbox, source)

    def test_an_exception_names_the_line_and_leaves_the_program_alive(
        self, sandbox: Sandbox
    ) -> None:
        program = start(sandbox, "def f(x):\n    if x: raise ValueError('no good')\n    return 7\n")
        with pytest.raises(CandidateFailedError) as caught:
            call(program, 1)
        assert caught.value.failure.kind is FailureKind.EXCEPTION
        assert "ValueError: no good" in caught.value.failure.detail
        assert "main.py, line 2, in f" in caught.value.failure.detail
        assert call(program, 0) == 7
        program.close()

    def test_an_exception_while_importing_names_the_line(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "x = 1\ny = x / 0\n")
        assert failure.kind is FailureKind.EXCEPTION
        assert "main.py, line 2" in failure.detail

    def test_a_syntax_error_names_the_line(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "x = 1\ndef f(:\n")
        assert failure.kind is FailureKind.SYNTAX
        assert "line 2" in failure.detail

    def test_source_that_is_not_utf_8_is_a_syntax_failure(self, sandbox: Sandbox) -> None:
        assert fail(sandbox, b"x = '\xff'\n").kind is FailureKind.SYNTAX

    def test_source_with_lone_surrogates_is_a_syntax_failure(self, sandbox: Sandbox) -> None:
        assert fail(sandbox, "x = '\ud800'\n").kind is FailureKind.SYNTAX

    def test_source_with_null_bytes_is_a_syntax_failure(self, sandbox: Sandbox) -> None:
        assert fail(sandbox, "x = 1\0\n").kind is FailureKind.SYNTAX

    def test_a_source_of_a_megabyte_is_refused(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "x = 1\n" * 170_000)
        assert failure.kind is FailureKind.SYNTAX
        assert "KiB" in failure.detail

    def test_source_that_is_nested_too_deeply_is_a_syntax_failure(self, sandbox: Sandbox) -> None:
        assert fail(sandbox, "x = " + "(" * 5000 + ")" * 5000).kind is FailureKind.SYNTAX

    def test_a_missing_function_is_missing_and_leaves_the_program_alive(
        self, sandbox: Sandbox
    ) -> None:
        program = start(sandbox, "f = 3\ndef g(): return 1")
        for name in ("f", "h"):
            with pytest.raises(CandidateFailedError) as caught:
                program.call(name, cpu_seconds=5, wall_seconds=60)
            assert caught.value.failure.kind is FailureKind.MISSING
        assert program.call("g", cpu_seconds=5, wall_seconds=60) == 1
        program.close()

    def test_endless_recursion_is_an_exception(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "def f(): return f()")
        assert failure.kind is FailureKind.EXCEPTION
        assert "RecursionError" in failure.detail

    @pytest.mark.parametrize(
        "answer",
        ["{1, 2}", "object()", "2**70", "{1: 2}", "np.array([None])", "np.array(['a'])", "f",
         "[[1], [range(2)]]", "np.zeros(1, dtype='M8[s]')"],
    )  # fmt: skip
    def test_answers_that_are_not_data_break_the_protocol(
        self, sandbox: Sandbox, answer: str
    ) -> None:
        failure = fail(sandbox, f"import numpy as np\ndef f(): return {answer}")
        assert failure.kind is FailureKind.PROTOCOL

    def test_an_answer_nested_too_deeply_breaks_the_protocol(self, sandbox: Sandbox) -> None:
        source = "def f():\n    x = []\n    for _ in range(100_000): x = [x]\n    return x"
        assert fail(sandbox, source).kind is FailureKind.PROTOCOL

    def test_a_list_that_contains_itself_breaks_the_protocol(self, sandbox: Sandbox) -> None:
        source = "def f():\n    x = []\n    x.append(x)\n    return x"
        assert fail(sandbox, source).kind is FailureKind.PROTOCOL

    def test_a_broken_answer_leaves_the_program_alive(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "def f(x): return {1} if x else 2")
        with pytest.raises(CandidateFailedError):
            call(program, 1)
        assert call(program, 0) == 2
        program.close()

    def test_a_gigantic_answer_is_too_much_output(self, sandbox: Sandbox) -> None:
        source = "import numpy as np\ndef f(): return np.zeros(6 << 20, dtype=np.uint8)"
        assert fail(sandbox, source).kind is FailureKind.OUTPUT

    def test_what_it_prints_is_kept(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "import sys, os\ndef f():\n    print('one')\n"
                        "    print('two', file=sys.stderr)\n    os.write(1, b'three')")  # fmt: skip
        call(program)
        text = program.output()
        program.close()
        assert all(word in text for word in ("one", "two", "three"))
        assert program.output() == text

    def test_printing_without_end_is_too_much_output(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "def f():\n    for _ in range(50): print('x' * (1 << 20))")
        assert failure.kind is FailureKind.OUTPUT

    def test_an_endless_loop_uses_up_its_cpu_time(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "def f():\n    while True: pass", cpu=0.2)
        assert failure.kind is FailureKind.CPU_TIME

    def test_an_endless_loop_while_importing_uses_up_its_cpu_time(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "while True: pass", allowed=limits(cpu_seconds=0.5))
        assert failure.kind is FailureKind.CPU_TIME

    def test_sleeping_uses_up_its_wall_time(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "import time\ndef f(): time.sleep(1000)", wall=0.2)
        assert failure.kind is FailureKind.WALL_TIME

    def test_an_answer_after_the_deadline_is_never_seen(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "import time\ndef f(s):\n    time.sleep(s)\n    return s")
        kinds = []
        for seconds in (1000, 0):
            with pytest.raises(CandidateFailedError) as caught:
                call(program, seconds, wall=0.2)
            kinds.append(caught.value.failure.kind)
        program.close()
        assert kinds == [FailureKind.WALL_TIME] * 2

    def test_reading_standard_input_finds_its_end(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "import sys\ndef f(): return sys.stdin.read()") == ""

    def test_sys_exit_is_an_exit(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "import sys\ndef f(): sys.exit('enough')")
        assert failure.kind is FailureKind.EXIT
        assert "enough" in failure.detail

    def test_leaving_while_importing_is_an_exit(self, sandbox: Sandbox) -> None:
        assert fail(sandbox, "raise SystemExit(0)").kind is FailureKind.EXIT

    def test_os_exit_is_an_exit(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "import os\ndef f(): os._exit(3)")
        assert failure.kind is FailureKind.EXIT
        assert "3" in failure.detail

    def test_a_dead_program_stays_dead(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "import os\ndef f(): os._exit(3)")
        for _ in range(2):
            with pytest.raises(CandidateFailedError) as caught:
                call(program)
            assert caught.value.failure.kind is FailureKind.EXIT
        program.close()

    def test_a_segmentation_fault_is_a_crash(self, sandbox: Sandbox) -> None:
        failure = fail(sandbox, "import ctypes\ndef f(): ctypes.string_at(0)")
        assert failure.kind is FailureKind.CRASH
        assert "SIGSEGV" in failure.detail

    def test_a_huge_allocation_is_a_memory_failure(self, sandbox: Sandbox) -> None:
        source = "def f(): return len(bytearray(4 << 30))"
        assert fail(sandbox, source).kind is FailureKind.MEMORY

    def test_a_huge_file_is_a_disk_failure(self, sandbox: Sandbox) -> None:
        source = (
            "def f():\n    with open('big', 'wb') as file:\n        file.write(bytes(40 << 20))"
        )
        assert fail(sandbox, source).kind is FailureKind.DISK

    def test_cost_counts_cpu_time_of_the_program(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "import time\ndef f():\n    end = time.process_time() + 0.2\n"
                        "    while time.process_time() < end: pass")  # fmt: skip
        before = program.cost()
        call(program)
        after = program.cost()
        program.close()
        assert 0.2 <= after.cpu_seconds - before.cpu_seconds < 0.6
        assert after.wall_seconds - before.wall_seconds >= 0.2
        assert program.cost().cpu_seconds >= after.cpu_seconds

    def test_closing_twice_is_harmless_and_calls_fail_afterwards(self, sandbox: Sandbox) -> None:
        program = start(sandbox, ECHO)
        program.close()
        program.close()
        with pytest.raises(CandidateFailedError):
            call(program, 1)

    def test_starting_a_program_ends_the_one_before(self, sandbox: Sandbox) -> None:
        first = start(sandbox, ECHO)
        second = start(sandbox, ECHO)
        assert call(second, 2) == 2
        with pytest.raises(CandidateFailedError):
            call(first, 1)
        second.close()

    def test_paths_outside_the_scratch_folder_are_refused(self, sandbox: Sandbox) -> None:
        for name in ("/etc/x", "../x", ""):
            with pytest.raises(ValueError, match="scratch"):
                sandbox.start(ProgramSpec({name: ""}, name, "python"), LIMITS)

    def test_a_shared_library_is_compiled_and_called(self, sandbox: Sandbox) -> None:
        source = (
            "#include <stdint.h>\ndouble f(int64_t n, const double *x, double *y, float *z) {\n"
            "  double s = 0; for (int64_t i = 0; i < n; i++) { s += x[i]; y[i] *= 2; }\n"
            "  z[0] = 7; return s; }\n"
        )
        declared = NativeFunction(
            ("int64", "float64[]", "inout float64[]", "out float32[]"), "float64"
        )
        spec = ProgramSpec(
            {"main.c": source}, "main.c", "native", {"f": declared},
            ("gcc", "-O1", "-shared", "-fPIC", "-o", "{output}", "main.c"),
        )  # fmt: skip
        program = sandbox.start(spec, LIMITS)
        total, doubled, made = call(program, 3, [1.0, 2.0, 3.0], np.ones(3), (2, 1))
        program.close()
        assert total == 6.0
        np.testing.assert_array_equal(doubled, [2.0, 2.0, 2.0])
        assert made.dtype == np.float32
        assert made[0, 0] == 7
        assert np.isnan(made[1, 0])

    def test_compiler_errors_are_a_compile_failure(self, sandbox: Sandbox) -> None:
        command = ("gcc", "-shared", "-o", "{output}", "main.c")
        spec = ProgramSpec({"main.c": "int f( {"}, "main.c", "native", {}, command)
        with pytest.raises(CandidateFailedError) as caught:
            sandbox.start(spec, LIMITS)
        assert caught.value.failure.kind is FailureKind.COMPILE
        assert "main.c:1" in caught.value.failure.detail

    def test_a_command_answers_json(self, sandbox: Sandbox) -> None:
        source = "import json, sys\nprint(json.dumps([sys.argv[1], json.load(sys.stdin)]))"
        spec = ProgramSpec(
            {"main.py": source}, "main.py", "command", command=("python3", "main.py")
        )
        program = sandbox.start(spec, LIMITS)
        assert call(program, np.arange(2), "x") == ["f", [[0, 1], "x"]]
        program.close()

    @pytest.mark.parametrize(
        ("script", "kind"),
        [("echo oops >&2; exit 4", FailureKind.EXIT), ("echo '{'", FailureKind.PROTOCOL),
         ("kill -9 $$", FailureKind.CRASH), ("while :; do :; done", FailureKind.CPU_TIME)],
    )  # fmt: skip
    def test_a_failing_command_is_its_own_failure(
        self, sandbox: Sandbox, script: str, kind: FailureKind
    ) -> None:
        spec = ProgramSpec({"main.sh": script}, "main.sh", "command", command=("sh", "main.sh"))
        program = sandbox.start(spec, LIMITS)
        with pytest.raises(CandidateFailedError) as caught:
            call(program, cpu=0.5)
        program.close()
        assert caught.value.failure.kind is kind
        assert kind is not FailureKind.EXIT or "oops" in caught.value.failure.detail
