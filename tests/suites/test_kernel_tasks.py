"""The timed kernel tasks: starts pass every stage, honest variants every check, wrong ones none."""

import re
import shutil

import pytest

from breeder.evaluation.candidate import InvalidAnswerError
from breeder.kernels import Effort, Inputs, Trial
from breeder.kernels.timed_task import Efforts
from breeder.task import load_native
from suites.kernel_programs import SUITE, KernelPrograms
from suites.kernel_variants import VARIANTS

HONEST = [
    (task, name) for task, some in VARIANTS.items() for name in some if not some[name].refusal
]
WRONG = [(task, name) for task, some in VARIANTS.items() for name in some if some[name].refusal]
GLANCE = Effort(rounds=1, least=1, batch_seconds=1e-4)

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


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


@pytest.fixture
def trial(programs):
    def of(task, name, seed=1):
        found = programs(task)
        start = found.candidate("start")
        return Trial(found.candidate(name), start, found.evaluate.TASK.kernel, Inputs(seed))

    return of


@pytest.mark.parametrize("task", VARIANTS)
def test_the_task_is_valid(task):
    read = load_native(SUITE / task)
    assert read.name == f"kernels/{task}"
    assert read.file.measured.metric == "speedup"
    assert read.file.verification.function == "verify"
    assert "-ffast-math" not in read.file.program.compile_flags
    assert read.file.held_out is not None


@pytest.mark.parametrize("task", VARIANTS)
def test_the_start_passes_every_stage(programs, monkeypatch, task):
    found = programs(task)
    on_task = found.evaluate.TASK
    monkeypatch.setattr(on_task, "efforts", Efforts(GLANCE, GLANCE, GLANCE, GLANCE))
    start = found.candidate("start")
    assert found.evaluate.quick(start).metrics["quick_speedup"] > 0
    contrast = next(
        one.name for one in load_native(SUITE / task).file.feature if one.name != "size"
    )
    for stage in ("evaluate", "confirm", "evaluate_held_out", "verify"):
        result = getattr(found.evaluate, stage)(start)
        assert set(result.metrics) == {"speedup", contrast}
        assert set(result.intervals) == {"speedup"}
        assert "us, baseline" in result.artifacts["shapes"]


@pytest.mark.parametrize(("task", "name"), HONEST)
def test_honest_variants_pass_every_check(programs, trial, task, name):
    on_task = programs(task).evaluate.TASK
    trial(task, name).check(on_task.cases.everything(Inputs(2).rng))


@pytest.mark.parametrize(("task", "name"), WRONG)
def test_wrong_variants_are_refused(programs, trial, task, name):
    shapes = programs(task).evaluate.TASK.cases
    with pytest.raises(InvalidAnswerError, match=re.escape(VARIANTS[task][name].refusal)):
        trial(task, name).check([*shapes.quick, *shapes.search])


@pytest.mark.parametrize("task", VARIANTS)
def test_searched_held_out_and_verified_cases_are_disjoint(programs, task):
    listed = programs(task).evaluate.TASK.cases
    sets = [set(listed.search), set(listed.held_out), set(listed.verified)]
    assert len(set.union(*sets)) == sum(map(len, sets))
