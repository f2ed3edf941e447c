"""The later attention tasks: gradients, and bfloat16. Honest programs pass, wrong ones do not."""

import importlib.util
import re
import shutil

import numpy as np
import pytest

from breeder.core import NativeFunction
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.kernels import Call, Effort, Inputs, Trial, attention_rivals, compiled
from breeder.kernels.attention import Case
from breeder.kernels.cases import Cases
from breeder.kernels.formats import BFLOAT16, FLOAT32
from breeder.kernels.kernel import Output
from breeder.kernels.known import program_by_hand
from breeder.kernels.timed_task import Efforts
from breeder.measurement import Verdict
from breeder.regions import find_regions
from breeder.task import load_native
from suites.attention_task_variants import VARIANTS
from suites.kernel_programs import SUITE, KernelPrograms

HONEST = [
    (task, name)
    for task, some in VARIANTS.items()
    for name in ("start", *(one for one in some if not some[one].refusal))
]
WRONG = [(task, name) for task, some in VARIANTS.items() for name in some if some[name].refusal]
GLANCE = Effort(rounds=1, least=1, batch_seconds=1e-4)

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.slow,  # float64 references of gradients take seconds each
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Compiled programs of a task, once for all tests."""
    kept = {}

    def of(task):
        if task not in kept:
            folder = tmp_path_factory.mktemp(task)
            kept[task] = KernelPrograms(SUITE / task, VARIANTS[task], folder)
        return kept[task]

    return of


class Alone:
    """A program of its own, in place of a candidate."""

    def __init__(self, program):
        self.prepare = program.prepare

    def restart(self):
        """There is no other process."""

    def exchange(self, other):
        """There is no sandbox."""


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """The program of a task that was written by hand, compiled with some flags taken back."""
    kept = {}

    def of(task, *without):
        if (task, *without) not in kept:
            read = load_native(SUITE / task)
            source = tmp_path_factory.mktemp(task) / "by_hand.cpp"
            source.write_text(program_by_hand(task), encoding="utf-8")
            flags = [*read.file.program.compile_flags, *without]
            functions = {
                name: NativeFunction(one.arguments)
                for name, one in read.file.program.functions.items()
            }
            kept[task, *without] = Alone(compiled(source, flags, functions))
        return kept[task, *without]

    return of


@pytest.fixture
def trial(programs):
    def of(task, subject, seed=1):
        found = programs(task)
        subject = found.candidate(subject) if isinstance(subject, str) else subject
        return Trial(subject, found.candidate("start"), found.evaluate.KERNEL, Inputs(seed))

    return of


def small(cases, most=100):
    """Those that take a reference only a moment."""
    return [one for one in cases if one.queries * one.keys <= most**2]


def everything_small(evaluate):
    cases = evaluate.TASK.cases
    return [
        *cases.quick,
        *small(cases.verified),
        *small([*cases.search, *cases.held_out], 280),
        *small(cases.unlisted(np.random.default_rng(1)), 200),
    ]


@pytest.mark.parametrize("task", VARIANTS)
def test_the_task_is_valid(programs, task):
    read = load_native(SUITE / task)
    assert read.name == f"kernels/{task}"
    assert read.file.measured.metric == "speedup"
    assert read.file.verification.function == "verify"
    assert "-ffast-math" not in read.file.program.compile_flags
    assert list(read.file.program.functions) == [programs(task).evaluate.KERNEL.function]


@pytest.mark.parametrize("task", VARIANTS)
def test_a_call_has_an_argument_for_each_of_the_signature(programs, task):
    signature = next(iter(programs(task).signatures.values())).arguments
    call = Call(programs(task).evaluate.KERNEL, Case(1, 2, 1, 3, 5, 8), Inputs(1))
    for declared, sent in zip(signature, call.arguments, strict=True):
        kind = re.sub(r"inout |\[\]", "", declared)
        assert not isinstance(sent, np.ndarray) or sent.dtype == kind
        assert ("[]" in declared) == isinstance(sent, np.ndarray)


@pytest.mark.parametrize("task", VARIANTS)
def test_the_start_passes_every_stage(programs, monkeypatch, task):
    found = programs(task)
    on_task = found.evaluate.TASK
    monkeypatch.setattr(on_task, "efforts", Efforts(GLANCE, GLANCE, GLANCE, GLANCE))
    some = [Case(1, 1, 1, 40, 40, 32), Case(1, 1, 1, 20, 500, 32, causal=False)]
    others = [Case(1, 1, 1, 41, 41, 32), Case(1, 1, 1, 21, 500, 32, causal=False)]
    monkeypatch.setattr(on_task, "cases", Cases(some, some, some, others, some, lambda rng: some))
    start = found.candidate("start")
    assert found.evaluate.quick(start).metrics["quick_speedup"] > 0
    for stage in ("evaluate", "confirm", "evaluate_held_out", "verify"):
        result = getattr(found.evaluate, stage)(start)
        assert set(result.metrics) == {"speedup", "long_over_short"}
        assert "of 500 keys" in result.artifacts["shapes"]


@pytest.mark.parametrize("task", VARIANTS)
def test_the_known_program_is_one_of_the_task_and_says_that_it_is_by_hand(task):
    start, known = (SUITE / task / "initial.cpp").read_text("utf-8"), program_by_hand(task)
    ((begin, end),), ((first, last),) = find_regions(start), find_regions(known)
    assert (start[:begin], start[end:]) == (known[:first], known[last:])
    assert "Written by hand, not evolved" in known
    assert '#include "' not in known


@pytest.mark.parametrize(("task", "name"), HONEST)
def test_honest_programs_pass_every_check(programs, trial, task, name):
    trial(task, name).check(everything_small(programs(task).evaluate))


WITHOUT = [("-mno-amx-bf16",), ("-mno-amx-bf16", "-mno-avx512bf16"), ("-mno-avx512f",)]


@pytest.mark.parametrize("task", VARIANTS)
def test_the_known_program_passes_every_check(programs, by_hand, trial, task):
    trial(task, by_hand(task)).check(everything_small(programs(task).evaluate))


@pytest.mark.slow
@pytest.mark.parametrize("task", VARIANTS)
@pytest.mark.parametrize("without", WITHOUT, ids=" ".join)
def test_the_known_program_passes_on_lesser_hardware(programs, by_hand, trial, task, without):
    trial(task, by_hand(task, *without)).check(everything_small(programs(task).evaluate))


@pytest.mark.slow
@pytest.mark.parametrize("task", VARIANTS)
def test_long_sequences_pass_every_check(programs, by_hand, trial, task):
    cases = programs(task).evaluate.TASK.cases
    trial(task, by_hand(task)).check([*cases.verified, *cases.search, *cases.held_out])


@pytest.mark.parametrize(("task", "name"), WRONG)
def test_wrong_programs_are_refused_in_the_first_stages(programs, trial, task, name):
    cases = programs(task).evaluate.TASK.cases
    with pytest.raises(InvalidAnswerError, match=re.escape(VARIANTS[task][name].refusal)):
        trial(task, name).check([*cases.quick, *cases.search])


@pytest.mark.parametrize("task", VARIANTS)
def test_the_known_program_is_faster_than_plain_loops(by_hand, trial, task):
    shapes = [Case(1, 1, 1, 128, 128, 64), Case(1, 2, 1, 200, 200, 32, causal=False)]
    result = trial(task, by_hand(task)).compare(shapes, Effort(rounds=9), against=2.0)
    assert result.overall.verdict is Verdict.FASTER


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("task", VARIANTS)
@pytest.mark.parametrize(
    "case",
    [Case(2, 4, 2, 33, 33, 16, layout="packed"), Case(1, 2, 2, 9, 40, 8, causal=False)],
    ids=str,
)
def test_baselines_compute_the_same(programs, library, task, case):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    way = "backward" if "backward" in task else "forward"
    run = getattr(attention_rivals, f"{library}_{way}")(BFLOAT16 if "bf16" in task else FLOAT32)
    kernel = programs(task).evaluate.KERNEL
    call = Call(kernel, case, Inputs(5))
    run(*call.arguments)
    drawn = kernel.draw(Inputs(5), case)
    written = [
        one for one, was in zip(call.arguments, drawn, strict=True) if isinstance(was, Output)
    ]
    assert call.fault([None, *written], call.arguments) == ""
