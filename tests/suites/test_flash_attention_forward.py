"""The kernels/flash_attention_forward task: tolerance, checks, timing, on programs by hand."""

import importlib.util
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
from breeder.kernels import Call, Effort, Inputs, Trial, compiled
from breeder.kernels.attention import FUNCTION, KERNEL, SIGNATURE, Case
from breeder.kernels.known import program_by_hand
from breeder.measurement import Verdict
from breeder.regions import find_regions
from breeder.task import load_native
from suites.attention_variants import HONEST, WRONG, changed

FOLDER = Path(breeder.suites.__file__).parent / "kernels" / "flash_attention_forward"
KNOWN = program_by_hand("flash_attention_forward")
evaluate = load_evaluator(FOLDER, "evaluate.py")
START = (FOLDER / "initial.cpp").read_text(encoding="utf-8")
TABLE = tomllib.loads((FOLDER / "task.toml").read_text(encoding="utf-8"))["program"]

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Every program in a namespace of its own, compiled at once."""
    texts = {
        "start": START,
        "known": KNOWN,
        **{name: changed(START, changes) for name, changes in HONEST.items()},
        **{name: changed(START, changes) for name, (changes, _) in WRONG.items()},
    }
    names = sorted(set(re.findall(r"#include (<\S+>)", "\n".join(texts.values()))))
    includes = [f"#if __has_include({name})\n#include {name}\n#endif" for name in names]
    parts = [
        f"namespace of_{name} {{\n{re.sub('#include <.*>', '', text)}\n}}".replace(FUNCTION, name)
        for name, text in texts.items()
    ]
    source = tmp_path_factory.mktemp("variants") / "variants.cpp"
    source.write_text("\n".join([*includes, *parts]), encoding="utf-8")
    flags = ["-O2" if flag == "-O3" else flag for flag in TABLE["compile_flags"]]
    return compiled(source, flags, dict.fromkeys(texts, NativeFunction(SIGNATURE)))


class Named:
    """One function of the library under the name that the kernel has."""

    def __init__(self, library, name):
        self.library, self.name = library, name

    def restart(self):
        """There is no other process."""

    def exchange(self, other):
        """There is no sandbox."""

    def prepare(self, function, calls):
        assert function == FUNCTION
        return self.library.prepare(self.name, calls)


@pytest.fixture
def trial(library):
    def of(name, seed=1):
        return Trial(Named(library, name), Named(library, "start"), KERNEL, Inputs(seed))

    return of


def small(cases, most=100):
    """Those that take a reference only a moment."""
    return [one for one in cases if one.queries * one.keys <= most**2]


def test_the_task_is_valid():
    task = load_native(FOLDER)
    assert task.file.measured.metric == "speedup"
    assert task.file.verification.function == "verify"
    assert task.file.program.functions[FUNCTION].arguments == SIGNATURE
    assert "-ffast-math" not in task.file.program.compile_flags


def test_the_known_program_is_one_of_the_task_and_says_that_it_is_by_hand():
    ((begin, end),), ((first, last),) = find_regions(START), find_regions(KNOWN)
    assert (START[:begin], START[end:]) == (KNOWN[:first], KNOWN[last:])
    assert "Written by hand, not evolved" in KNOWN


def test_shapes_searched_held_out_and_verified_are_disjoint():
    timed = [*evaluate.QUICK_TIMED, *evaluate.SEARCH]
    assert not set(timed) & set(evaluate.HELD_OUT)
    assert not {(c.queries, c.keys) for c in timed} & {
        (c.queries, c.keys) for c in evaluate.HELD_OUT
    }
    verified = {*evaluate.VERIFIED}
    assert len(verified) == len(evaluate.VERIFIED)
    assert not verified & {*timed, *evaluate.HELD_OUT, *evaluate.QUICK}


def test_every_extreme_and_layout_is_verified():
    cases = evaluate.VERIFIED
    assert {one.kind for one in cases} == {"normal", "large", "equal", "rising", "falling"}
    assert {one.layout for one in cases} == {"bhtd", "bthd", "packed"}
    assert any(one.kv_heads < one.heads for one in cases)
    assert max(one.keys for one in cases) == 4096


@pytest.mark.parametrize("name", ["start", "known", *HONEST])
def test_honest_programs_pass_every_check(trial, name):
    trial(name).check([*evaluate.QUICK, *small(evaluate.VERIFIED)])
    trial(name).check(small([*evaluate.SEARCH, *evaluate.HELD_OUT], 360))
    trial(name).check(small(evaluate.unlisted(np.random.default_rng(1)), 200))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["start", "known"])
def test_long_sequences_pass_every_check(trial, name):
    trial(name).check([*evaluate.VERIFIED, *evaluate.SEARCH, *evaluate.HELD_OUT])


@pytest.mark.parametrize("name", WRONG)
def test_wrong_programs_are_refused_in_the_first_stage(trial, name):
    with pytest.raises(InvalidAnswerError, match=re.escape(WRONG[name][1])):
        trial(name).check([*evaluate.QUICK, *evaluate.SEARCH])


@pytest.mark.parametrize("name", ["bfloat16_weights", "float16_weights", "rough_exponential"])
def test_lower_precision_is_refused_on_every_shape_searched(trial, name):
    for case in evaluate.SEARCH:
        with pytest.raises(InvalidAnswerError):
            trial(name).check([case])


def test_the_known_program_is_faster_than_plain_loops(trial):
    shapes = [Case(1, 1, 1, 128, 128, 64), Case(1, 2, 1, 200, 200, 32, causal=False)]
    result = trial("known").compare(shapes, Effort(rounds=12), against=2.0)
    assert result.overall.verdict is Verdict.FASTER
    assert result.checked > 0


def test_metrics_come_with_an_interval_and_a_table(trial):
    shapes = [Case(1, 1, 1, 40, 40, 32), Case(1, 1, 1, 20, 500, 32, causal=False)]
    scored = evaluate.scored(trial("vectors").compare(shapes, Effort(rounds=3, least=3)), shapes)
    assert set(scored.metrics) == {"speedup", "long_over_short"}
    low, high = scored.intervals["speedup"]
    assert low <= scored.metrics["speedup"] <= high
    assert "1 x 1 heads x 20 of 500 keys x 32 full" in scored.artifacts["shapes"]


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize(
    "case",
    [Case(2, 4, 2, 33, 33, 16, layout="packed"), Case(1, 2, 2, 9, 40, 8, causal=False)],
    ids=str,
)
def test_baselines_compute_the_same(name, case):
    if name == "torch" and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    run = evaluate.numpy_attention if name == "numpy" else evaluate.torch_attention()
    call = Call(KERNEL, case, Inputs(5))
    run(*call.arguments)
    written = [call.arguments[3], call.arguments[4]]
    assert call.fault([None, *written], call.arguments) == ""


def test_baselines_hold_the_start_and_numpy(monkeypatch):
    monkeypatch.setattr(evaluate, "SEARCH_EFFORT", Effort(rounds=2, least=2))
    monkeypatch.setattr(evaluate, "SEARCH", [Case(1, 1, 1, 40, 40, 32)])
    rows = evaluate.baselines("search")
    assert rows["plain loops (the start)"] == {"speedup": 1.0}
    assert rows["numpy"]["speedup"] > 0
