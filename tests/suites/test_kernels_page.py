"""The example of docs/kernels.md is a task: valid, it scores its start and refuses wrong ones."""

import re
import shutil
from pathlib import Path

import pytest

from breeder.evaluation.candidate import InvalidAnswerError
from breeder.kernels import Effort
from breeder.kernels.timed_task import Efforts
from breeder.task import load_native
from suites.kernel_programs import SUITE, KernelPrograms, Variant

PAGE = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text(encoding="utf-8")
GLANCE = Effort(rounds=1, least=1, batch_seconds=1e-4)

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page") / "squared_relu"


@pytest.fixture(scope="module")
def programs(folder):
    folder.mkdir()
    for name, text in re.findall(r"```\w+ squared_relu/(\S+)\n(.*?)```", PAGE, re.S):
        (folder / name).write_text(text, encoding="utf-8")
    variants = {
        "linear": Variant("positive * positive", "positive"),
        "hides_nan": Variant("x[i] < 0 ? 0 : x[i]", "x[i] > 0 ? x[i] : 0"),
    }
    made = KernelPrograms(folder, variants, folder.parent)
    made.evaluate.TASK.efforts = Efforts(GLANCE, GLANCE, GLANCE, GLANCE)
    return made


def test_the_example_scores_its_start(programs, folder):
    task = load_native(folder)
    functions = [stage.function for stage in task.file.stage]
    functions += [task.file.held_out.function, task.file.measured.function]
    for function in [*functions, task.file.verification.function]:
        result = getattr(programs.evaluate, function)(programs.candidate("start"))
        assert set(result.metrics) in ({"quick_speedup"}, {"speedup", "large_over_small"})


@pytest.mark.parametrize("name", ["linear", "hides_nan"])
def test_the_example_refuses_wrong_ones(programs, name):
    with pytest.raises(InvalidAnswerError, match="squared_relu on"):
        programs.evaluate.quick(programs.candidate(name))


def test_the_table_names_every_timed_task():
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE.split("## The tasks that ship")[1], re.M))
    timed = {
        path.parent.name
        for path in SUITE.glob("*/evaluate.py")
        if "TimedTask(" in path.read_text(encoding="utf-8")
    }
    assert listed == timed | {"rmsnorm"}
