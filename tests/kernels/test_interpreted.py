"""Tasks whose programs nobody can time here: every output is checked, then one line says why."""

import numpy as np
import pytest

from breeder.core import NativeFunction
from breeder.errors import EvaluatorError
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.kernels import Expected, Inputs, Kernel, Output, TrustedProgram, rounding
from breeder.kernels import interpreted as module
from breeder.kernels.interpreted import Checks, InterpretedTask, fault_of, rows_size


def draw(inputs, size):
    return inputs.normal(size), Output((size,)), size


def reference(size, arguments):
    return [Expected("y", arguments[0].astype(float) ** 2, rounding(np.float32))]


KERNEL = Kernel("square", draw, reference)


def right(x, y, size):
    y[:size] = x * x


def wrong(x, y, size):
    y[:size] = x * x
    y[:size][size // 2 :] *= 1.01


def beyond(x, y, size):
    y[: size + 1] = 1.0
    y[:size] = x * x


def candidate(function):
    signature = NativeFunction(("float32[]", "inout float32[]", "int64"))
    return TrustedProgram({"square": signature}, {"square": function})


@pytest.fixture
def task():
    checks = Checks(KERNEL, [1, 7], [5000, 90], lambda rng: [int(rng.integers(1, 9))], lambda n: n)
    return InterpretedTask([checks], most=1000, remedy="find one")


def test_the_first_stage_counts_what_was_right(task):
    assert task.quick(candidate(right)).metrics == {"right_cases": 2.0}


@pytest.mark.parametrize(("function", "problem"), [(wrong, "off by"), (beyond, "beyond the end")])
def test_what_is_wrong_is_refused_with_the_case_and_the_place(task, function, problem):
    with pytest.raises(InvalidAnswerError, match=f"square on 1: .*{problem}"):
        task.quick(candidate(function))
    assert problem in fault_of(candidate(function), KERNEL, 7, Inputs(1))


@pytest.mark.parametrize(
    ("there", "problem"),
    [(False, "there is no GPU here"), (True, "a sandbox shows programs none")],
)
def test_the_second_stage_says_in_one_line_that_nothing_is_timed(
    task, tmp_path, monkeypatch, there, problem
):
    gpu = tmp_path / "nvidiactl"
    if there:
        gpu.touch()
    monkeypatch.setattr(module, "_GPU", gpu)
    with pytest.raises(EvaluatorError, match=problem) as caught:
        task.evaluate(candidate(right))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; find one")


def test_cases_that_take_an_interpreter_too_long_are_left_out(task):
    sizes = [size for size, _ in task.cases(Inputs(1))]
    assert sizes[:3] == [1, 7, 90]
    assert len(sizes) == 4


def test_a_row_has_its_cost_however_short_it_is():
    assert rows_size((4, 1)) == rows_size((4, 256)) == 1024
    assert rows_size((4, 500)) == 2000
