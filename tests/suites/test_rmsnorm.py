"""The kernels/rmsnorm task: tolerance, checks and timing, on kernels written by hand."""

import importlib
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import breeder.suites
from breeder.core import NativeFunction
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.evaluation.loading import load_evaluator
from breeder.kernels import Effort, Inputs, Trial, compiled, disagreement
from breeder.measurement import Verdict
from breeder.regions import find_regions, splice
from breeder.task import load_native
from suites.rmsnorm_variants import HONEST, MEMOISED, NOT_A_NUMBER, STALE, WRONG

FOLDER = Path(breeder.suites.__file__).parent / "kernels" / "rmsnorm"
evaluate = load_evaluator(FOLDER, "evaluate.py")
START = (FOLDER / "initial.cpp").read_text(encoding="utf-8")
TABLE = tomllib.loads((FOLDER / "task.toml").read_text(encoding="utf-8"))["program"]
BODIES = {
    **HONEST,
    **{name: body for name, (body, _) in WRONG.items()},
    "memoised": MEMOISED,
    "stale": STALE,
    "not_a_number": NOT_A_NUMBER,
}

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Every variant under a name of its own, compiled at once."""
    texts = [START.replace("void rmsnorm(", "void start(")]
    for name, body in BODIES.items():
        text = splice(START, find_regions(START), [body])
        texts.append(text.replace("void rmsnorm(", f"void {name}("))
    source = tmp_path_factory.mktemp("variants") / "variants.cpp"
    source.write_text("\n".join(texts), encoding="utf-8")
    signature = NativeFunction(tuple(TABLE["functions"]["rmsnorm"]["arguments"]))
    return compiled(source, TABLE["compile_flags"], dict.fromkeys(["start", *BODIES], signature))


class Named:
    """One function of the library under the name that the kernel has."""

    def __init__(self, library, name):
        self.library, self.name = library, name

    def restart(self):
        """There is no other process."""

    def exchange(self, other):
        """There is no sandbox."""

    def prepare(self, function, calls):
        assert function == "rmsnorm"
        return self.library.prepare(self.name, calls)


@pytest.fixture
def trial(library):
    def of(name, seed=1):
        return Trial(Named(library, name), Named(library, "start"), evaluate.KERNEL, Inputs(seed))

    return of


def test_the_task_is_valid():
    task = load_native(FOLDER)
    assert task.file.measured.metric == "speedup"
    assert task.file.verification.function == "verify"
    assert "-ffast-math" not in task.file.program.compile_flags


def test_shapes_searched_held_out_and_verified_are_disjoint():
    sets = [set(evaluate.SEARCH), set(evaluate.HELD_OUT), set(evaluate.VERIFIED)]
    assert len(set.union(*sets)) == sum(map(len, sets))
    assert not {c.columns for c in evaluate.SEARCH} & {c.columns for c in evaluate.HELD_OUT}


def test_the_reference_is_the_formula():
    x = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    weight = np.array([1.0, 2.0], np.float32)
    (expected,) = evaluate.reference(evaluate.Case(2, 2), [x, weight, None, 2, 2, 1e-5])
    root = np.sqrt(12.5 + 1e-5)
    assert np.allclose(expected.value, [[3 / root, 8 / root], [0, 0]], rtol=1e-12)


def test_a_row_with_nan_is_nan_and_one_with_an_infinity_is_zero_but_there():
    x = np.array([[1.0, np.nan], [2.0, -np.inf]], np.float32)
    weight = np.ones(2, np.float32)
    (expected,) = evaluate.reference(evaluate.Case(2, 2), [x, weight, None, 2, 2, 1e-5])
    assert np.isnan(expected.value[0]).all()
    assert expected.value[1, 0] == 0.0
    assert np.isnan(expected.value[1, 1])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["start", "memoised", *HONEST])
def test_honest_variants_pass_every_check(trial, name, seed):
    on_trial = trial(name, seed)
    on_trial.check([*evaluate.QUICK, *evaluate.VERIFIED])
    on_trial.check([*evaluate.SEARCH, *evaluate.HELD_OUT])


@pytest.mark.parametrize("name", WRONG)
def test_wrong_variants_are_refused_in_the_first_stage(trial, name):
    with pytest.raises(InvalidAnswerError, match=re.escape(WRONG[name][1])):
        trial(name).check([*evaluate.QUICK, *evaluate.SEARCH])


@pytest.mark.parametrize("name", ["rough_root", "bfloat16", "half_sum", "sampled"])
def test_lower_precision_is_refused_on_every_shape_searched(trial, name):
    for case in evaluate.SEARCH:
        with pytest.raises(InvalidAnswerError):
            trial(name).check([case])


def test_answering_with_the_previous_output_is_refused_while_timing(trial):
    with pytest.raises(InvalidAnswerError, match="off by"):
        trial("stale").compare([evaluate.Case(16, 64)], Effort(rounds=2, least=2))


def test_verification_sees_nan_being_hidden(trial):
    on_trial = trial("not_a_number")
    on_trial.check([*evaluate.QUICK, *evaluate.SEARCH])
    with pytest.raises(InvalidAnswerError, match="0 instead of nan"):
        on_trial.check(evaluate.VERIFIED)


def test_a_vectorised_kernel_is_faster_than_plain_loops(trial):
    shapes = [evaluate.Case(64, 256), evaluate.Case(16, 1024)]
    result = trial("vector_extensions").compare(shapes, Effort(rounds=20), against=1.0)
    assert result.overall.verdict is Verdict.FASTER
    assert result.overall.low > 1.0
    assert result.checked > 0


def test_metrics_come_with_an_interval_and_a_table(trial):
    shapes = [evaluate.Case(8, 256), evaluate.Case(2, 1024)]
    result = trial("simd_pragma").compare(shapes, Effort(rounds=3, least=3))
    scored = evaluate.scored(result, shapes)
    assert set(scored.metrics) == {"speedup", "wide_over_narrow"}
    low, high = scored.intervals["speedup"]
    assert low <= scored.metrics["speedup"] <= high
    assert "8 x 256" in scored.artifacts["shapes"]


def test_numpy_computes_the_same():
    call_inputs = Inputs(5)
    case = evaluate.Case(7, 33)
    x, weight, _, rows, columns, epsilon = evaluate.draw(call_inputs, case)
    out = np.full(rows * columns + 16, np.nan, np.float32)
    evaluate.numpy_rmsnorm(x, weight, out, rows, columns, epsilon)
    (expected,) = evaluate.reference(case, [x, weight, out, rows, columns, epsilon])
    assert disagreement(out[:-16], expected) == ""


def test_baselines_hold_the_start_and_numpy(monkeypatch):
    monkeypatch.setattr(evaluate, "SEARCH_EFFORT", Effort(rounds=2, least=2))
    rows = evaluate.baselines("search")
    assert rows["plain loops (the start)"] == {"speedup": 1.0}
    assert rows["numpy"]["speedup"] > 0


def test_the_evaluator_loads_without_torch():
    assert importlib.util.find_spec("torch") is None or "torch" not in vars(evaluate)
