"""What every sandbox promises about prepared calls of compiled functions: memory beyond reach.

Arguments appear when the clock runs and answers count when it stops. The programs here try to work
before or after, to change what is read, or to break who reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

import numpy as np
import pytest

from breeder.core import FailureKind
from breeder.evaluation.sandbox import (
    CandidateFailedError,
    Limits,
    NativeFunction,
    ProgramSpec,
    Sandbox,
    SandboxedBatch,
    SandboxedProgram,
)
from conformance.sandbox import LIMITS, call, limits, python
from conformance.sandbox_clock import go, output, prepare

HEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
static void scale(int64_t n, const double *x, double *y) {
    for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];
}
/* Two pages inside of an array of 2048 numbers; those from 512 up to 1024 lie in them. */
static char *inside(const double *at) { return (char *)(((uintptr_t)at & ~4095ull) + 4096); }
"""
PYTHON = """
static void python(const char *code) {
    int (*run)(const char *) = (int (*)(const char *))dlsym(RTLD_DEFAULT, "PyRun_SimpleString");
    int (*lock)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    void (*unlock)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "PyGILState_Release");
    int state = lock();
    run(code);
    unlock(state);
}
"""
PATCH = (
    PYTHON
    + """
__attribute__((constructor)) static void patch(void) {
    python("import os, socket\\n"
           "from breeder.evaluation import native, prepared, worker\\n"
           "honest, batches = prepared.NativeBatch.serve, []\\n"
           "def skip(self, channel):\\n"
           "    os.write(channel, os.read(channel, 8) + bytes(1))\\n"
           "def make(self):\\n"
           "    ours, theirs = socket.socketpair()\\n"
           "    ours.send(bytes(16))\\n"
           "    honest(self, theirs.fileno())\\n"
           CODE);
}
int64_t f(int64_t n, const double *x, double *y) { scale(n, x, y); return n; }
"""
)
NOTHING = "int64_t f(int64_t n, const double *x, double *y) { return n; }"
OWN_LOOP = (
    PYTHON
    + NOTHING
    + """
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
static void serve(int channel, char *const *at, int64_t count, int64_t *returned) {
    char word[9] = {0};
    if (recv(channel, word, 8, MSG_WAITALL) != 8) _exit(1);
    for (int64_t i = 0; i < count; i++, at += 3)
        returned[i] = f(*(const int64_t *)at[0], (const double *)at[1], (double *)at[2]);
    if (send(channel, word, 9, 0) != 9) _exit(1);
    struct pollfd next = {channel, POLLIN, 0};
    poll(&next, 1, -1);
}
__attribute__((constructor)) static void take_over(void) {
    char code[500];
    snprintf(code, sizeof code,
             "import ctypes\\n"
             "from breeder.evaluation import prepared\\n"
             "own = ctypes.CFUNCTYPE(None, ctypes.c_int, *[ctypes.c_void_p] * 3)(%llu)\\n"
             "prepared.NativeBatch.serve = lambda self, channel: own(channel, *self._passed[1:])",
             (unsigned long long)(uintptr_t)serve);
    python(code);
}
"""
)
LAZY = """
static const double *from; static double *to; static int64_t count;
static void fill(int signal) {
    mprotect(inside(to), 8192, PROT_READ | PROT_WRITE);
    scale(count, from, to);
}
int64_t f(int64_t n, const double *x, double *y) {
    from = x; to = y; count = n;
    signal(SIGSEGV, fill);
    mprotect(inside(y), 8192, PROT_NONE);
    return n;
}
"""
ELSEWHERE = """
int64_t f(int64_t n, const double *x, double *y) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    mmap(inside(y), 8192, PROT_READ | PROT_WRITE, flags, -1, 0);
    scale(n, x, y);
    return n;
}
"""
LATER = """
static const double *from; static double *to; static int64_t count;
static void *work(void *unused) { sleep(5); scale(count, from, to); return 0; }
int64_t f(int64_t n, const double *x, double *y) {
    pthread_t thread;
    from = x; to = y; count = n;
    pthread_create(&thread, 0, work, 0);
    return n;
}
"""
BREAK = """
int64_t f(int64_t n, const double *x, double *y) {
    int64_t found = 0, done = 0;
    scale(n, x, y);
    for (int one = 3; one < 256; one++) {
        if (lseek(one, 0, SEEK_END) <= 0 || fcntl(one, F_GET_SEALS) < 0) continue;
        found++;
        done += !ftruncate(one, 0) + !ftruncate(one, 1ll << 40);
        done += !fcntl(one, F_ADD_SEALS, F_SEAL_WRITE) + (pwrite(one, "x", 1, 1ll << 40) > 0);
    }
    return done ? -done : found;
}
"""
HOLES = """
int64_t f(int64_t n, const double *x, double *y) {
    scale(n, x, y);
    return madvise(inside(x), 8192, MADV_REMOVE) | madvise(inside(y), 8192, MADV_REMOVE);
}
"""
COUNT = """
int64_t f(int64_t n, const double *x, double *y) {
    int64_t open = 0;
    for (int one = 0; one < 256; one++) open += fcntl(one, F_GETFD) >= 0;
    scale(n, x, y);
    return open;
}
"""


@contextmanager
def running(
    sandbox: Sandbox, source: str, code: str = "", allowed: Limits = LIMITS
) -> Iterator[SandboxedProgram]:
    """Start a program with a function `f(n, x, y)`; `code` is Python for its constructor."""
    lines = "".join(f'"{line}\\n"\n' for line in code.splitlines())
    program = sandbox.start(
        ProgramSpec(
            {"main.c": HEAD + source.replace("CODE", lines)}, "main.c", "native",
            {"f": NativeFunction(("int64", "float64[]", "out float64[]"), "int64")},
            ("gcc", "-O1", "-shared", "-fPIC", "-pthread", "-o", "{output}", "main.c", "-ldl"),
        ),
        allowed,
    )  # fmt: skip
    try:
        yield program
    finally:
        program.close()


X = np.arange(2048.0)
MIDDLE = slice(512, 1024)


def ran(program: SandboxedProgram) -> SandboxedBatch:
    """Run `f` once, on `X`."""
    batch = prepare(program, [[len(X), X, X.shape]])
    go(batch)
    return batch


class MemoryConformance:
    """Mix it into a `SandboxConformance`."""

    @pytest.mark.parametrize(
        "code",
        [
            # Skips the calls; makes them for whoever asks for something later.
            "def serve(self, channel):\n"
            "    skip(self, channel)\n"
            "    batches.append(self)\n"
            "prepared.NativeBatch.serve = serve\n"
            "perform = worker.Worker._perform\n"
            "def late(self, message):\n"
            "    for one in batches: make(one)\n"
            "    return perform(self, message)\n"
            "worker.Worker._perform = late",
            # Makes them while the batch is armed, or laid out, and not when told to.
            "prepared.NativeBatch.arm = make\nprepared.NativeBatch.serve = skip",
            "prepare = native.NativeProgram.prepare\n"
            "def early(self, *arguments):\n"
            "    batch = prepare(self, *arguments)\n"
            "    make(batch)\n"
            "    return batch\n"
            "native.NativeProgram.prepare = early\nprepared.NativeBatch.serve = skip",
        ],
        ids=["later", "when armed", "when laid out"],
    )
    def test_calls_made_outside_of_the_run_come_to_nothing(
        self, sandbox: Sandbox, code: str
    ) -> None:
        with running(sandbox, PATCH, code) as program:
            for _ in range(2):
                result, y = output(ran(program))
                assert result == -1
                assert np.isnan(y).all()

    def test_patches_that_change_nothing_change_nothing(self, sandbox: Sandbox) -> None:
        with running(sandbox, PATCH, "prepared.NativeBatch.serve = honest") as program:
            result, y = output(ran(program))
            assert result == 2048
            np.testing.assert_array_equal(y, 2 * X)

    def test_code_of_its_own_in_place_of_the_loop_saves_nothing(self, sandbox: Sandbox) -> None:
        used = dict.fromkeys((NOTHING, OWN_LOOP), inf)
        # A crowded machine can slow a whole process down: several of each, in turns.
        for source in (NOTHING, OWN_LOOP) * 4:
            with running(sandbox, source) as program:
                batch = prepare(program, [[7, [1.0], (1,)]] * 500)
                used[source] = min(used[source], *(go(batch).cpu_seconds for _ in range(40)))
                assert output(batch, 499)[0] == 7
        # Made from Python, these calls and their answer took some 180 us more than that.
        assert used[NOTHING] - used[OWN_LOOP] < 10e-6

    @pytest.mark.parametrize("source", [LAZY, ELSEWHERE, LATER], ids=["fault", "map", "thread"])
    def test_answers_that_are_not_in_the_memory_when_it_is_done_do_not_count(
        self, sandbox: Sandbox, source: str
    ) -> None:
        with running(sandbox, source) as program:
            result, y = output(ran(program))
            assert result == 2048
            assert np.isnan(y[MIDDLE]).all()

    def test_the_memory_keeps_its_size(self, sandbox: Sandbox) -> None:
        with running(sandbox, BREAK) as program:
            for _ in range(2):
                result, y = output(ran(program))
                assert result == 1
                np.testing.assert_array_equal(y, 2 * X)

    def test_holes_in_the_memory_are_wrong_data(self, sandbox: Sandbox) -> None:
        with running(sandbox, HOLES) as program:
            for _ in range(2):
                batch = ran(program)
                result, y = output(batch)
                assert result == 0
                assert not y[MIDDLE].any()
                assert not batch.arguments(0, wall_seconds=60)[1][MIDDLE].any()

    def test_descriptors_do_not_pile_up(self, sandbox: Sandbox) -> None:
        with running(sandbox, COUNT) as program:
            assert len({output(ran(program))[0] for _ in range(5)}) == 1

    def test_arguments_are_bounded_by_the_memory_limit(self, sandbox: Sandbox) -> None:
        with running(sandbox, COUNT) as program:
            most = (LIMITS.memory_mib << 20) // 8
            with pytest.raises(CandidateFailedError) as caught:
                prepare(program, [[1, [1.0], (most,)]])
            assert caught.value.failure.kind is FailureKind.MEMORY

    def test_batches_one_after_another_take_the_same_memory(self, sandbox: Sandbox) -> None:
        allowed = limits(memory_mib=32)
        with running(sandbox, COUNT, allowed=allowed) as program:
            for _ in range(3):
                batch = prepare(program, [[2, [1.0, 2.0], (20 << 17,)]])
                go(batch)
                assert output(batch)[1][:2].tolist() == [2.0, 4.0]

    def test_functions_of_arrays_alone_have_their_memory(self, sandbox: Sandbox) -> None:
        source = "void f(const double *x, double *y) { for (int i = 0; i < 4; i++) y[i] += x[i]; }"
        signature = NativeFunction(("float64[]", "inout float64[]"), "void")
        command = ("gcc", "-O1", "-shared", "-fPIC", "-o", "{output}", "main.c")
        spec = ProgramSpec({"main.c": source}, "main.c", "native", {"f": signature}, command)
        program = sandbox.start(spec, LIMITS)
        batch = prepare(program, [[np.full(4, i), np.arange(4.0)] for i in range(300)])
        for _ in range(2):
            go(batch)
            for index in (0, 299):
                assert output(batch, index)[0] is None
                np.testing.assert_array_equal(output(batch, index)[1], np.arange(4.0) + index)
        program.close()

    def test_nothing_is_read_of_a_program_that_has_ended(self, sandbox: Sandbox) -> None:
        with running(sandbox, COUNT) as program:
            batch = ran(program)
        with pytest.raises(CandidateFailedError):
            output(batch)

    def test_python_functions_write_into_arrays_where_they_declare_so(
        self, sandbox: Sandbox
    ) -> None:
        source = "def f(x, y, z, n):\n    y += x[:n]\n    z[0] = n\n    return n\n"
        types = ("float32[]", "inout float32[]", "out int64[]", "int64")
        spec = python(source, functions={"f": NativeFunction(types, "int64")})
        program = sandbox.start(spec, LIMITS)
        x, y = np.arange(3, dtype=np.float32), np.ones(2, np.float32)
        count, written, made = call(program, x, y, (2,), 2)
        batch = program.prepare("f", [[x, y, (2,), 2]], cpu_seconds=5.0, wall_seconds=60.0)
        for _ in range(2):
            batch.run(wall_seconds=60.0)
            again = batch.output(0, wall_seconds=60.0)
        program.close()
        assert count == again[0] == 2
        assert written.tolist() == again[1].tolist() == [1.0, 2.0]
        assert made.tolist() == again[2].tolist() == [2, -1]
