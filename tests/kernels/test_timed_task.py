"""What timed kernel tasks share: cases, stages, features."""

import math

import numpy as np
import pytest

from breeder.core import NativeFunction
from breeder.errors import EvaluatorError
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.kernels import (
    Case,
    Cases,
    Contrast,
    Effort,
    Expected,
    Inputs,
    Kernel,
    Output,
    TimedTask,
    TrustedProgram,
    array_of,
    cases_of,
    rounding,
    unlisted_rows,
)
from breeder.kernels.timed_task import Efforts

FEW = Effort(rounds=2, least=2, footprint_mib=0.01)
TYPES = NativeFunction(("float32[]", "inout float32[]", "int64"))
SIGNATURES = {"double": TYPES, "negate": TYPES}


def draw(inputs, case):
    return array_of(inputs, case), Output(case.shape), math.prod(case.shape)


def kernel(name, factor):
    def reference(case, arguments):
        return [Expected("y", factor * arguments[0].astype(float), rounding(np.float32))]

    return Kernel(name, draw, reference)


def scaling(factor):
    def run(x, y, size):
        y[:size] = x.ravel() * np.float32(factor)

    return run


class Candidate(TrustedProgram):
    """Both functions, with right ones beside them."""

    to_beat = None

    def __init__(self, **changes):
        functions = {"double": scaling(2.0), "negate": scaling(-1.0), **changes}
        super().__init__(SIGNATURES, functions)

    def beside(self, files):
        assert files == {"start.c": "the start"}
        return Candidate()


BOTH = ("double", "negate")


@pytest.fixture
def task(tmp_path):
    (tmp_path / "task.toml").write_text('[program]\nfiles = ["start.c"]\n', encoding="utf-8")
    (tmp_path / "start.c").write_text("the start", encoding="utf-8")
    cases = Cases(
        quick=cases_of([(2, 3)], "normal", "NaN", functions=BOTH),
        glance=cases_of([(4, 4)], functions=BOTH),
        search=cases_of([(4, 5), (4, 6)], functions=BOTH),
        held_out=cases_of([(5, 5)], functions=BOTH),
        verified=cases_of([(0, 3)], functions=BOTH),
        unlisted=unlisted_rows(50, BOTH),
    )
    made = TimedTask(
        tmp_path,
        {"double": kernel("double", 2.0), "negate": kernel("negate", -1.0)},
        cases,
        Contrast("negate_over_double", lambda case: case.function == "negate"),
    )
    made.efforts = Efforts(FEW, FEW, FEW, FEW)
    return made


@pytest.mark.parametrize("stage", ["evaluate", "confirm", "evaluate_held_out", "verify"])
def test_stages_score_a_right_program(task, stage):
    result = getattr(task, stage)(Candidate())
    assert set(result.metrics) == {"speedup", "negate_over_double"}
    low, high = result.intervals["speedup"]
    assert low <= result.metrics["speedup"] <= high


def test_the_first_stage_glances_at_the_speed(task):
    assert set(task.quick(Candidate()).metrics) == {"quick_speedup"}


@pytest.mark.parametrize("stage", ["quick", "evaluate", "confirm", "evaluate_held_out", "verify"])
def test_every_stage_calls_every_function(task, stage):
    with pytest.raises(InvalidAnswerError, match=r"negate on negate .*: y"):
        getattr(task, stage)(Candidate(negate=scaling(1.0)))


def test_the_table_names_function_and_shape(task):
    table = task.evaluate(Candidate()).artifacts["shapes"]
    assert all(name in table for name in ("double 4 x 5:", "negate 4 x 6:"))


def test_a_task_of_one_function_needs_no_names(task):
    task.kernels.pop("negate")
    assert task.kernel(Case((2, 2))).function == "double"


def test_contrast_is_a_ratio_of_geometric_means():
    contrast = Contrast("wide", lambda case: case.shape[0] > 2)
    logs = [math.log(2.0), math.log(8.0), math.log(1.0)]
    assert contrast.of(logs, cases_of([(3,), (4,), (1,)])) == pytest.approx(4.0)
    assert contrast.of(logs[:2], cases_of([(3,), (4,)])) == 1.0


def test_a_shape_both_searched_and_held_out_is_a_mistake():
    one = cases_of([(2, 3)])
    with pytest.raises(EvaluatorError, match="shape 2 x 3 is both searched and held out"):
        Cases(one, one, one, one, one, unlisted_rows(5))


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (Case((3, 4)), "3 x 4"),
        (Case((7,), "NaN"), "7 NaN"),
        (Case((3, 4), "huge", "forward"), "forward 3 x 4 huge"),
    ],
)
def test_a_case_says_what_it_is(case, text):
    assert str(case) == text


def test_cases_are_functions_by_kinds_by_shapes():
    listed = cases_of([(1,), (2,)], "normal", "NaN", functions=BOTH)
    assert len(listed) == len(set(listed)) == 8


def test_arrays_hold_what_their_kind_says():
    inputs = Inputs(1)
    assert not array_of(inputs, Case((3, 4), "zero")).any()
    assert 0 < np.abs(array_of(inputs, Case((3, 4), "tiny"))).max() < 1e-19
    assert 1e17 < np.abs(array_of(inputs, Case((3, 4), "huge"))).max() < 1e19
    broken = array_of(inputs, Case((3, 4), "NaN"))
    assert np.isnan(broken[1]).sum() == np.isnan(broken).sum() == 1
    assert (array_of(inputs, Case((5,), "infinite")) == -np.inf).tolist() == [0, 0, 1, 0, 0]
    assert array_of(inputs, Case((0, 4), "NaN")).shape == (0, 4)
    assert array_of(inputs, Case((9, 9)), (2, 3), least=5.0, most=5.0).shape == (2, 3)


def test_unlisted_cases_stay_within_bounds():
    drawn = unlisted_rows(50, BOTH)(np.random.default_rng(1))
    assert len(drawn) == 16
    assert all(1 <= case.shape[1] <= 50 and case.shape[0] >= 1 for case in drawn)
