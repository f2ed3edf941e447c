import sys

import pytest

from breeder.errors import TaskError
from breeder.evaluation.foreign_imports import require_imports

SHIMS = ("openevolve", "openevolve.evaluation_result", "shinka", "shinka.core")


def check(**files: str) -> None:
    named = {name.replace("__", "."): text for name, text in files.items()}
    require_imports(named, list(named)[:2], SHIMS)


def refused(**files: str) -> str:
    with pytest.raises(TaskError) as caught:
        check(**files)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "import os.path, json, numpy.linalg",
        "from openevolve.evaluation_result import EvaluationResult",
        "from shinka.core import run_shinka_eval",
        "import neighbour",
        "from . import absent",
        "try:\n    import absent\nexcept ImportError:\n    absent = None",
        "try:\n    import absent\nexcept (ValueError, Exception):\n    absent = None",
        "try:\n    import absent\nexcept:\n    absent = None",
        "def f():\n    import absent",
        "if False:\n    import absent",
        "this is not Python",
        "x = '\\0'\0",
    ],
)
def test_what_may_well_run_is_left_to_run(text: str) -> None:
    check(evaluator__py=text, initial_program__py="", neighbour__py="import json")


def test_other_languages_are_not_read() -> None:
    check(evaluator__py="", initial_program__rs="import absent")


def test_all_missing_packages_are_named_with_their_installation() -> None:
    line = refused(
        evaluator__py="import os\nimport absent_one.part",
        initial_program__py="import absent_one, absent_two",
    )
    assert line == (
        "evaluator.py: line 2: imports 'absent_one' and 'absent_two', not installed where breeder "
        f"runs; install with: {sys.executable} -m pip install absent_one absent_two"
    )


def test_packages_are_named_as_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)  # as if it were not installed
    line = refused(evaluator__py="import cv2", initial_program__py="")
    assert line.endswith("pip install opencv-python")


@pytest.mark.parametrize(
    "text",
    [
        "from neighbour import x",
        "with x:\n    import neighbour",
        "try:\n    import neighbour\nfinally:\n    pass",
        "try:\n    import neighbour\nexcept ValueError:\n    pass",
    ],
)
def test_imports_of_neighbours_are_followed(text: str) -> None:
    line = refused(evaluator__py=text, initial_program__py="", neighbour__py="import absent")
    assert line.startswith("neighbour.py: line 1: imports 'absent'")


def test_neighbours_that_nobody_imports_do_not_count() -> None:
    check(evaluator__py="", initial_program__py="", runner__py="import absent")


def test_parts_of_other_tools_without_a_stand_in_are_named() -> None:
    line = refused(evaluator__py="\nfrom shinka.llm import LLMClient", initial__py="")
    assert line == (
        "evaluator.py: line 2: needs shinka.llm, which evaluators in the sandbox do not get; "
        f"they get {', '.join(SHIMS)}"
    )
