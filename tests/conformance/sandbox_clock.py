"""What every sandbox promises about prepared calls: a clock of the evaluator's that covers all.

The programs here try to be measured as cheaper than they are, but harm nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from breeder.core import FailureKind
from breeder.evaluation.sandbox import (
    CandidateFailedError,
    NativeFunction,
    ProgramSpec,
    Sandbox,
    SandboxedBatch,
    SandboxedProgram,
)
from breeder.measurement.comparison import Spent
from conformance.sandbox import LIMITS, call, python, start

BURN = """
import time
def burn(seconds, clock=time.thread_time):
    end = clock() + seconds
    while clock() < end: pass
"""
SCALE = """
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
void scale(int64_t n, const double *x, double *y) {
    for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];
}
double grow(int64_t n, double *x) { for (int64_t i = 0; i < n; i++) x[i] += 1; return x[0]; }
void once(int64_t n, const double *x, double *y) {
    static int ran;
    if (!ran) scale(n, x, y);
    ran = 1;
}
void spoil(int64_t n, double *x, double *y) { scale(n, x, y); x[0] = -1; }
void crash(int64_t n, const double *x, double *y) { abort(); }
"""
READS = NativeFunction(("int64", "float64[]", "out float64[]"), "void")
NATIVE = ProgramSpec(
    {"main.c": SCALE}, "main.c", "native",
    {
        "grow": NativeFunction(("int64", "inout float64[]"), "float64"),
        "scale": READS, "once": READS, "spoil": READS, "crash": READS,
    },
    ("gcc", "-O1", "-shared", "-fPIC", "-o", "{output}", "main.c"),
)  # fmt: skip


def prepare(
    program: SandboxedProgram, calls: list[list[Any]], function: str = "f", cpu: float = 5.0
) -> SandboxedBatch:
    """Prepare calls; the wall time is generous, as the machine may be busy."""
    return program.prepare(function, calls, cpu_seconds=cpu, wall_seconds=60)


def go(batch: SandboxedBatch, wall: float = 60.0) -> Spent:
    """Run a batch."""
    return batch.run(wall_seconds=wall)


def output(batch: SandboxedBatch, index: int = 0) -> Any:
    """Fetch an output."""
    return batch.output(index, wall_seconds=60)


def failure_of(
    sandbox: Sandbox, source: str, *, wall: float = 60.0, cpu: float = 5.0, rounds: int = 5
) -> Any:
    """Measure `f(i)` in some rounds, all outputs read; return the failure that it must come to."""
    program = start(sandbox, source)
    try:
        with pytest.raises(CandidateFailedError) as caught:  # noqa: PT012 -- any step may raise
            for _ in range(rounds):
                batch = prepare(program, [[1], [2]], cpu=cpu)
                go(batch, wall)
                output(batch, 0)
                output(batch, 1)
    finally:
        program.close()
    return caught.value.failure


class ClockConformance:
    """Mix it into a `SandboxConformance`."""

    @pytest.fixture
    def native(self, sandbox: Sandbox) -> Iterator[SandboxedProgram]:
        program = sandbox.start(NATIVE, LIMITS)
        yield program
        program.close()

    def test_prepared_native_calls_answer_as_calls_do(self, native: SandboxedProgram) -> None:
        calls = [[n, np.arange(float(n)), (n,)] for n in (1, 4, 0, 3)]
        batch = prepare(native, calls, "scale")
        spent = go(batch)
        assert 0 < spent.cpu_seconds < 0.5
        assert spent.wall_seconds > 0
        for index, arguments in enumerate(calls):
            expected = native.call("scale", *arguments, cpu_seconds=5, wall_seconds=60)
            assert output(batch, index)[0] is expected[0] is None
            np.testing.assert_array_equal(output(batch, index)[1], expected[1])

    def test_prepared_python_calls_answer_as_calls_do(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "def f(x, y): return {'sum': x + y, 'both': (x, y)}")
        batch = prepare(program, [[1, 2.5], [3, 4]])
        go(batch)
        assert output(batch, 1) == call(program, 3, 4) == {"sum": 7, "both": [3, 4]}
        assert output(batch, 0) == call(program, 1, 2.5)
        program.close()

    def test_nothing_runs_before_the_word(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "seen = []\ndef f(x): seen.append(x)\ndef g(): return seen")
        batch = prepare(program, [[1], [2]])
        assert program.call("g", cpu_seconds=5, wall_seconds=60) == []
        go(batch)
        assert program.call("g", cpu_seconds=5, wall_seconds=60) == [1, 2]
        program.close()

    def test_outputs_of_an_earlier_run_do_not_survive(self, native: SandboxedProgram) -> None:
        batch = prepare(native, [[2, np.ones(2), (2,)]], "once")
        go(batch)
        np.testing.assert_array_equal(output(batch)[1], [2, 2])
        go(batch)
        assert np.isnan(output(batch)[1]).all()

    def test_arguments_that_a_call_changes_begin_anew(
        self, sandbox: Sandbox, native: SandboxedProgram
    ) -> None:
        batch = prepare(native, [[3, np.zeros(3)]], "grow")
        for _ in range(3):
            go(batch)
            assert output(batch)[0] == 1.0
        program = start(sandbox, "def f(x):\n    x.append(len(x))\n    return x")
        batch = prepare(program, [[[5]]])
        for _ in range(2):
            go(batch)
            assert output(batch) == [5, 1]
        program.close()

    def test_arguments_show_what_was_written_into_them(self, native: SandboxedProgram) -> None:
        sent = [2, np.ones(2), (2,)]
        for function, seen in (("scale", [1, 1]), ("spoil", [-1, 1])):
            batch = prepare(native, [sent], function)
            go(batch)
            count, x, shape = batch.arguments(0, wall_seconds=60)
            assert (count, shape) == (2, [2])
            np.testing.assert_array_equal(x, seen)

    def test_calls_have_arrays_of_their_own_aligned_to_cache_lines(self, sandbox: Sandbox) -> None:
        source = "#include <stdint.h>\nint64_t f(const double *x, float *y) {\n"
        source += "  return (((uintptr_t)x | (uintptr_t)y) & 63) ? -1 : (int64_t)(uintptr_t)x; }"
        spec = ProgramSpec(
            {"main.c": source}, "main.c", "native",
            {"f": NativeFunction(("float64[]", "out float32[]"), "int64")}, NATIVE.compile_command,
        )  # fmt: skip
        program = sandbox.start(spec, LIMITS)
        shared = np.ones(3)
        batch = prepare(program, [[shared, (3,)] for _ in range(4)])
        go(batch)
        places = {output(batch, index)[0] for index in range(4)}
        program.close()
        assert -1 not in places
        assert len(places) == 4

    def test_the_clock_is_the_process_clock(self, sandbox: Sandbox) -> None:
        program = start(sandbox, BURN + "def f(s): burn(s)\ndef g(s): time.sleep(s)")
        spent = go(prepare(program, [[0.02], [0.03]]))
        assert 0.05 <= spent.cpu_seconds < 0.2
        assert spent.wall_seconds >= 0.05
        spent = go(prepare(program, [[0.1]], "g"))
        assert spent.cpu_seconds < 0.05
        assert spent.wall_seconds >= 0.1
        program.close()

    def test_patching_time_does_not_change_it(self, sandbox: Sandbox) -> None:
        source = BURN + (
            "import os, resource\nnever = lambda *_: 0\ndef f(s): burn(s)\n"
            "for name in ('time', 'monotonic', 'perf_counter', 'process_time', 'thread_time',\n"
            "             'perf_counter_ns', 'process_time_ns', 'clock_gettime'):\n"
            "    setattr(time, name, never)\nos.times = resource.getrusage = never"
        )
        program = start(sandbox, source)
        assert go(prepare(program, [[0.05]])).cpu_seconds >= 0.05
        program.close()

    def test_patching_the_loop_earns_wrong_answers(self, sandbox: Sandbox) -> None:
        source = (
            "from breeder.evaluation import prepared\n"
            "prepared.PythonBatch.run = lambda self: None\ndef f(x): return x"
        )
        program = start(sandbox, source)
        batch = prepare(program, [[1]])
        go(batch)
        with pytest.raises(CandidateFailedError) as caught:
            output(batch)
        assert caught.value.failure.kind is FailureKind.EXCEPTION
        program.close()

    def test_threads_count_while_a_call_runs(self, sandbox: Sandbox) -> None:
        source = BURN + (
            "import threading\ndef f(s):\n    both = [threading.Thread(target=burn, args=(s,))"
            " for _ in 'ab']\n    for one in both: one.start()\n    for one in both: one.join()"
        )
        program = start(sandbox, source)
        for _ in range(4):
            assert go(prepare(program, [[0.02]])).cpu_seconds >= 0.04
        program.close()

    def test_threads_that_only_wait_are_no_work(self, sandbox: Sandbox) -> None:
        source = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True)"
        program = start(sandbox, source + ".start()\ndef f(x): return x")
        for _ in range(4):
            batch = prepare(program, [[1]])
            go(batch)
            assert output(batch) == 1
        program.close()

    def test_threads_left_running_are_work_outside_the_clock(self, sandbox: Sandbox) -> None:
        source = BURN + (
            "import threading\nanswers = []\ndef work(x):\n    burn(1.5)\n    answers.append(x)\n"
            "def f(x):\n    threading.Thread(target=work, args=(x,), daemon=True).start()\n"
            "    return x"
        )
        program = start(sandbox, source)
        with pytest.raises(CandidateFailedError) as caught:  # noqa: PT012 -- any step may raise
            for _ in range(5):
                batch = prepare(program, [[1]])
                for _ in range(3):
                    go(batch)
                    output(batch)
        program.close()
        assert caught.value.failure.kind is FailureKind.OUTSIDE_CLOCK
        assert "outside the clock" in caught.value.failure.detail

    @pytest.mark.parametrize(
        ("patch", "when"),
        [
            ("prepared.PythonBatch.__init__", "laid out"),
            ("prepared.PythonBatch.arm", "cleared"),
            ("prepared.PythonBatch.output", "outputs were read"),
        ],
    )
    def test_work_between_runs_is_work_outside_the_clock(
        self, sandbox: Sandbox, patch: str, when: str
    ) -> None:
        source = BURN + (
            f"from breeder.evaluation import prepared\nhonest = {patch}\n"
            "def early(*arguments):\n    burn(0.01)\n    return honest(*arguments)\n"
            f"{patch} = early\ndef f(x): return x"
        )
        failure = failure_of(sandbox, source)
        assert failure.kind is FailureKind.OUTSIDE_CLOCK
        assert when in failure.detail

    def test_a_great_deal_of_work_between_runs_is_seen_at_once(self, sandbox: Sandbox) -> None:
        source = BURN + (
            "from breeder.evaluation import prepared\ndef late(*arguments): burn(0.2)\n"
            "prepared.PythonBatch.output = late\ndef f(x): return x"
        )
        assert failure_of(sandbox, source, rounds=1).kind is FailureKind.OUTSIDE_CLOCK

    def test_answers_that_put_work_off_do_it_under_the_clock(self, sandbox: Sandbox) -> None:
        source = BURN + (
            "import numpy as np\nclass Lazy(np.ndarray):\n"
            "    def __array_finalize__(self, other): burn(0.03)\n"
            "def f(x): return x.view(Lazy)"
        )
        program = start(sandbox, source)
        batch = prepare(program, [[np.arange(3.0)]])
        assert go(batch).cpu_seconds >= 0.03
        assert type(output(batch)) is np.ndarray
        program.close()

    def test_work_in_child_processes_is_work_outside_the_clock(self, sandbox: Sandbox) -> None:
        source = BURN + (
            "import os\ndef f(x):\n    child = os.fork()\n    if child == 0:\n        burn(0.03)\n"
            "        os._exit(0)\n    os.waitpid(child, 0)\n    return x"
        )
        failure = failure_of(sandbox, source)
        assert failure.kind is FailureKind.OUTSIDE_CLOCK
        assert "child processes" in failure.detail

    def test_processes_left_running_are_work_outside_the_clock(self, sandbox: Sandbox) -> None:
        source = (
            "import os, time\nif os.fork() == 0:\n    time.sleep(1000)\n    os._exit(0)\n"
            "def f(x): return x"
        )
        failure = failure_of(sandbox, source)
        assert failure.kind is FailureKind.OUTSIDE_CLOCK
        assert "processes" in failure.detail

    def test_calls_between_batches_are_no_work_outside_the_clock(self, sandbox: Sandbox) -> None:
        program = start(sandbox, BURN + "def f(x): burn(x)")
        for _ in range(4):
            batch = prepare(program, [[0.001]])
            call(program, 0.02)
            go(batch)
        program.close()

    def test_a_hang_in_a_run_ends_at_the_wall_time(self, sandbox: Sandbox) -> None:
        source = "import time\ndef f(x): time.sleep(1000)"
        assert failure_of(sandbox, source, wall=0.3).kind is FailureKind.WALL_TIME

    def test_an_endless_loop_in_a_run_uses_up_its_cpu_time(self, sandbox: Sandbox) -> None:
        source = "def f(x):\n    while True: pass"
        assert failure_of(sandbox, source, cpu=0.2).kind is FailureKind.CPU_TIME

    def test_a_crash_in_a_run_is_a_crash(self, native: SandboxedProgram) -> None:
        batch = prepare(native, [[2, np.ones(2), (2,)]], "crash")
        with pytest.raises(CandidateFailedError) as caught:
            go(batch)
        assert caught.value.failure.kind is FailureKind.CRASH

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ("raise SystemExit(3)", FailureKind.EXIT), ("return {1}", FailureKind.PROTOCOL),
            ("raise ValueError('bad')", FailureKind.EXCEPTION),
        ],
    )  # fmt: skip
    def test_failures_in_a_run_are_those_of_calls(
        self, sandbox: Sandbox, body: str, kind: FailureKind
    ) -> None:
        assert failure_of(sandbox, f"def f(x): {body}").kind is kind

    def test_an_exception_in_a_run_leaves_the_program_alive(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "def f(x): return 1 / x")
        with pytest.raises(CandidateFailedError, match=r"main\.py, line 1, in f"):
            go(prepare(program, [[1], [0]]))
        batch = prepare(program, [[4]])
        go(batch)
        assert output(batch) == 0.25
        program.close()

    def test_functions_that_are_missing_are_so_when_prepared(self, sandbox: Sandbox) -> None:
        for spec in (NATIVE, python("")):
            program = sandbox.start(spec, LIMITS)
            with pytest.raises(CandidateFailedError) as caught:
                prepare(program, [[1]], "missing")
            assert caught.value.failure.kind is FailureKind.MISSING
            program.close()

    def test_arguments_that_do_not_fit_are_refused(self, native: SandboxedProgram) -> None:
        for arguments in ([1], [1, np.ones(1), (-1,)], [1, "x", (1,)]):
            with pytest.raises(CandidateFailedError) as caught:
                prepare(native, [arguments], "scale")
            assert caught.value.failure.kind is FailureKind.EXCEPTION

    def test_saying_too_early_that_it_is_done_hides_nothing(self, sandbox: Sandbox) -> None:
        source = BURN + (
            "import sys\ndef f(x):\n    frame = sys._getframe()\n"
            "    while 'ticket' not in frame.f_locals: frame = frame.f_back\n"
            "    of = frame.f_locals\n    of['self']._channel.sendall(of['ticket'] + bytes(1))\n"
            "    burn(0.15)\n    return x"
        )
        caught = failure_of(sandbox, source, rounds=1).kind
        assert caught in (FailureKind.OUTSIDE_CLOCK, FailureKind.PROTOCOL, FailureKind.OUTPUT)

    def test_an_answer_of_another_batch_is_no_answer(self, sandbox: Sandbox) -> None:
        source = (
            "import sys\ndef f(x):\n    frame = sys._getframe()\n"
            "    while 'ticket' not in frame.f_locals: frame = frame.f_back\n"
            "    frame.f_locals['self']._channel.sendall(bytes(9))\n    return x"
        )
        assert failure_of(sandbox, source, rounds=1).kind is FailureKind.PROTOCOL

    def test_wrong_use_of_a_batch_is_an_error_of_ours(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "def f(x): return x")
        first = prepare(program, [[1]])
        with pytest.raises(RuntimeError, match="after its run"):
            output(first)
        go(first)
        with pytest.raises(IndexError):
            output(first, 1)
        second = prepare(program, [[2]])
        with pytest.raises(RuntimeError, match="prepared since"):
            go(first)
        go(second)
        assert output(second) == 2
        program.close()
        with pytest.raises(CandidateFailedError):
            go(second)

    def test_cost_counts_prepared_runs(self, sandbox: Sandbox) -> None:
        program = start(sandbox, BURN + "def f(s): burn(s)")
        batch = prepare(program, [[0.1]])
        before = program.cost().cpu_seconds
        go(batch)
        assert program.cost().cpu_seconds - before >= 0.1
        program.close()
