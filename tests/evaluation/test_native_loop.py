"""The loop in C, with programs of our own: in this process, as they are known."""

from __future__ import annotations

import ctypes
import socket
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from breeder.core import NativeFunction
from breeder.evaluation import native_loop, wire

WORD = b"\x01\x80\xff\x00word"
FUNCTIONS = {
    "mix": NativeFunction(("int32", "float32", "float64[]", "int64", "float64"), "float64"),
    "count": NativeFunction((), "int32"),
    "fill": NativeFunction(("inout float32[]", "float32"), "void"),
    "wide": NativeFunction(("int64",), "int64"),
    "halve": NativeFunction(("float32",), "float32"),
}
PROGRAM = """
#include <stdint.h>
double mix(int32_t a, float b, const double *c, int64_t d, double e) {
    return a + 10 * b + 100 * c[1] + 1000 * d + 10000 * e;
}
int32_t count(void) { static int32_t calls; return ++calls; }
void fill(float *x, float value) { x[0] = value; }
int64_t wide(int64_t x) { return x + 1; }
float halve(float x) { return x / 2; }
"""


class Built:
    """The loops and a program, compiled and loaded."""

    def __init__(self, folder: Path, compiler: str) -> None:
        (folder / native_loop.SOURCE).write_text(native_loop.source(FUNCTIONS), encoding="utf-8")
        (folder / "program.c").write_text(PROGRAM, encoding="utf-8")
        warnings = ("-Wall", "-Werror")
        loops = [*native_loop.command(compiler, "loops.so"), *warnings]
        program = ["gcc", "-shared", "-fPIC", "-o", "program.so", "program.c"]
        for command in (loops, program):
            subprocess.run(command, cwd=folder, check=True)
        self._loops = ctypes.CDLL(str(folder / "loops.so"))
        self._program = ctypes.CDLL(str(folder / "program.so"))

    def run(self, name: str, calls: list[list[int]], returned: np.ndarray[Any, Any]) -> None:
        """Make calls of a function, whose arguments lie at these addresses."""
        addresses = np.array(calls, np.uint64)
        loop = self._loops[native_loop.loop_name([*FUNCTIONS].index(name))]
        loop.restype = None
        numbers = (addresses.ctypes.data, len(calls), returned.ctypes.data)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(WORD + b"next")
            loop(theirs.fileno(), self._program[name], *map(ctypes.c_void_p, numbers))
            assert ours.recv(100) == WORD + wire.DONE
            assert theirs.recv(100) == b"next"


@pytest.fixture(scope="module", params=["gcc", "g++"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("built"), request.param)


def test_scalars_are_read_and_arrays_are_passed(built: Built) -> None:
    c = np.array([0.0, 3.0])
    scalars = [np.array([n], dtype) for n, dtype in ((1, "i4"), (2, "f4"), (4, "i8"), (5, "f8"))]
    a, b, d, e = (one.ctypes.data for one in scalars)
    returned = np.zeros(3)
    built.run("mix", [[a, b, c.ctypes.data, d, e]] * 2, returned)
    assert returned.tolist() == [54321.0, 54321.0, 0.0]


def test_calls_are_made_in_order(built: Built) -> None:
    returned = np.full(5, -1, np.int32)
    built.run("count", [[]] * 4, returned)
    assert returned.tolist() == [1, 2, 3, 4, -1]


def test_functions_that_return_nothing_leave_what_is_returned_alone(built: Built) -> None:
    x, values = np.zeros(3, np.float32), np.array([5, 6, 7], np.float32)
    calls = [[x[i:].ctypes.data, values[i:].ctypes.data] for i in range(3)]
    returned = np.full(3, -1.0)
    built.run("fill", calls, returned)
    assert x.tolist() == [5, 6, 7]
    assert returned.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("wide", np.int64(2**40), 2**40 + 1), ("halve", np.float32(5), 2.5)],
)
def test_scalar_types_keep_their_width(
    built: Built, name: str, value: np.generic, expected: float
) -> None:
    x = np.array([value])
    returned = np.zeros(2, x.dtype)
    built.run(name, [[x.ctypes.data]], returned)
    assert returned.tolist() == [expected, 0]


def test_no_calls_are_none(built: Built) -> None:
    returned = np.full(1, -1, np.int64)
    built.run("wide", [], returned)
    assert returned.tolist() == [-1]
