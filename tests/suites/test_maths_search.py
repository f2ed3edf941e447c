"""The search tasks of mathematics: every start program, through every stage, in short form."""

from dataclasses import replace
from pathlib import Path

import pytest

import breeder.suites
from breeder.evaluation.loading import load_evaluator
from breeder.maths import problem
from breeder.maths.search_task import Budgets, plain_data
from breeder.task import load_native
from suites.direct import DirectCandidate

MATHS = Path(breeder.suites.__file__).parent / "maths"
FOLDERS = sorted(
    path.parent.name
    for path in MATHS.glob("*/evaluate.py")
    if "SearchTask" in path.read_text("utf-8")
)
SHORT = Budgets(quick=0.4, scratch=0.4, onward=0.4, long=0.4)


def loaded(folder):
    return load_evaluator(MATHS / folder, "evaluate.py")


def test_the_suite_has_its_problems():
    assert {"erdos_minimum_overlap", "kissing_number", "matrix_multiplication"} <= {*FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_start_program_passes_every_stage(folder):
    task_file, task = load_native(MATHS / folder).file, replace(loaded(folder).TASK, budgets=SHORT)
    quick = task.quick(DirectCandidate(MATHS / folder, seed=1))
    result = task.full(DirectCandidate(MATHS / folder, seed=1))
    metrics = {**quick, **result.metrics}
    assert task_file.construction.merit in metrics
    assert {objective.name for objective in task_file.objective} <= {*metrics}
    assert {feature.name for feature in task_file.feature} <= {*metrics, "size"}
    assert task_file.stage[0].metric in quick
    assert task.verify(result.construction)["value"] == metrics["value"]
    example = task.problem.verify(task.problem.example()).value
    assert metrics["score"] >= task.problem.score(example)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_start_program_never_loses_what_it_is_given(folder):
    module = loaded(folder)
    task = replace(module.TASK, budgets=SHORT, unseen=())
    given = task.full(DirectCandidate(MATHS / folder, seed=2))
    carried = DirectCandidate(MATHS / folder, seed=3, construction=given.construction)
    held_out = task.held_out(carried)
    assert held_out["value"] == given.metrics["value"]
    start = plain_data(task.problem, task.problem.verify(given.construction))
    onward = carried.call("search", *task.problem.parameters.values(), start, 3, 0.3)
    again = task.problem.verify(onward, repair=True)
    assert task.problem.score(again.value) >= given.metrics["score"] - 1e-6


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_task_allows_what_its_searches_may_take(folder):
    task_file, budgets = load_native(MATHS / folder).file, loaded(folder).TASK.budgets
    quick, full = task_file.stage
    assert quick.cpu_seconds > budgets.quick
    assert full.cpu_seconds > budgets.scratch + budgets.onward
    assert task_file.held_out is not None
    unseen = len(loaded(folder).TASK.unseen)
    assert task_file.held_out.cpu_seconds > budgets.scratch * (1 + unseen)


@pytest.mark.parametrize(
    ("folder", "other"),
    [
        ("no_isosceles", "no_isosceles_64"),
        ("matrix_multiplication", "matrix_multiplication_2_4_5"),
    ],
)
def test_sizes_of_one_problem_start_from_the_same_program(folder, other):
    one, two = ((MATHS / name / "initial.py").read_text("utf-8") for name in (folder, other))
    assert one == two


def test_the_flagship_starts_from_the_code_construction():
    candidate = DirectCandidate(MATHS / "kissing_number", seed=1)
    for d, least in ((4, 24), (8, 240)):  # both are proved to be the largest
        found = problem(f"kissing_{d}").verify(candidate.call("search", d, None, 1, 1.0))
        assert found.value.lower >= 0.7 * least
