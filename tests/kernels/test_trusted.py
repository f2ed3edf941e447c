"""Programs of ours in this process answer like candidates."""

import shutil

import numpy as np
import pytest

from breeder.core import NativeFunction
from breeder.errors import EvaluatorError
from breeder.kernels import TrustedProgram, compiled

SOURCE = """
#include <stdint.h>
double add(const double *x, double *y, int64_t n, float by) {
    for (int64_t i = 0; i < n; i++) y[i] = x[i] + by;
    return y[0];
}
"""
SIGNATURES = {
    "add": NativeFunction(("float64[]", "inout float64[]", "int64", "float32"), "float64")
}
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")


def add(x, y, n, by):
    y[:n] = x + by
    return float(y[0])


def answers(program):
    x, y = np.array([1.0, 2.0]), np.full(3, np.nan)
    batch = program.prepare("add", [[x, y, 2, 0.5], [x * 10, y, 2, 0.25]])
    spent = batch.run()
    assert spent.wall_seconds > 0
    assert spent.cpu_seconds >= 0
    assert np.isnan(y).all()  # calls work on copies
    return batch


@needs_gcc
def test_compiled_and_python_functions_answer_alike(tmp_path):
    source = tmp_path / "add.c"
    source.write_text(SOURCE, encoding="utf-8")
    for program in (
        compiled(source, ["-O2"], SIGNATURES),
        TrustedProgram(SIGNATURES, {"add": add}),
    ):
        batch = answers(program)
        value, y = batch.output(1)
        assert value == 10.25
        assert y[:2].tolist() == [10.25, 20.25]
        assert np.isnan(y[2])
        assert batch.arguments(0)[0].tolist() == [1.0, 2.0]


@needs_gcc
def test_a_call_allocates_what_is_only_written(tmp_path):
    source = tmp_path / "fill.c"
    source.write_text(
        "void fill(int n, int *y) { for (int i = 0; i < n; i++) y[i] += i; }", "utf-8"
    )
    signatures = {"fill": NativeFunction(("int32", "out int32[]"), "void")}
    value, y = compiled(source, ["-O2"], signatures).call("fill", 2, 3)
    assert value is None
    assert y.tolist() == [-1, 0, -1]  # -1 before, as in a candidate's process
    assert y.dtype == np.int32


@needs_gcc
def test_a_source_that_does_not_compile_is_said_in_one_line(tmp_path):
    source = tmp_path / "bad.c"
    source.write_text("int f( {", encoding="utf-8")
    with pytest.raises(EvaluatorError, match=r"^bad\.c: does not compile"):
        compiled(source, [], SIGNATURES)


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EvaluatorError, match=r"^add\.cpp: no g\+\+ on PATH"):
        compiled(tmp_path / "add.cpp", [], SIGNATURES)
