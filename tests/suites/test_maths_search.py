"""The search tasks of mathematics: every start program, through every stage, in short form."""

import importlib.util
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

import breeder.suites
from breeder.evaluation.loading import load_evaluator
from breeder.maths import problem
from breeder.maths.family_task import FamilyTask
from breeder.maths.refusal import RefusedError
from breeder.maths.registry import FAMILIES
from breeder.maths.scheme_search import SchemeSearch
from breeder.maths.search_task import Budgets, plain_data
from breeder.task import load_native
from suites.direct import DirectCandidate

MATHS = Path(breeder.suites.__file__).parent / "maths"
FOLDERS = sorted(
    path.parent.name
    for path in MATHS.glob("*/evaluate.py")
    if "breeder.maths.search_task" in path.read_text("utf-8")
    or "breeder.maths.family_task" in path.read_text("utf-8")
)
# Several large sets are verified there, several times.
TRIED = [
    pytest.param(folder, marks=pytest.mark.slow) if folder in {"kakeya", "nikodym"} else folder
    for folder in FOLDERS
]
SHORT = Budgets(quick=0.4, scratch=0.4, onward=0.4, long=0.4)


def loaded(folder):
    return load_evaluator(MATHS / folder, "evaluate.py")


def problems_of(task):
    return task.problems if isinstance(task, FamilyTask) else (task.problem,)


def construction_of(task, kept, one):
    return kept[one.name] if isinstance(task, FamilyTask) else kept


def caller(task, candidate):
    return candidate if isinstance(task, FamilyTask) else task.caller(candidate)


def test_every_family_of_problems_has_a_task():
    covered = {one.family for folder in FOLDERS for one in problems_of(loaded(folder).TASK)}
    # The absolute form of the third has the same constructions.
    assert covered >= FAMILIES.keys() - {"autocorrelation_3_absolute"}


def loaded_start(folder):
    spec = importlib.util.spec_from_file_location(f"start_{folder}", MATHS / folder / "initial.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_readme_names_every_record(folder):
    text = (MATHS / folder / "README.md").read_text("utf-8")
    for one in problems_of(loaded(folder).TASK):
        for record in one.records:
            assert record.value[:6] in text, (one.name, record)


@pytest.mark.parametrize("folder", TRIED)
def test_a_start_program_passes_every_stage(folder):
    task_file, task = load_native(MATHS / folder).file, replace(loaded(folder).TASK, budgets=SHORT)
    quick = task.quick(DirectCandidate(MATHS / folder, seed=1))
    result = task.full(DirectCandidate(MATHS / folder, seed=1))
    metrics = {**quick, **result.metrics}
    assert task_file.construction.merit in metrics
    assert {objective.name for objective in task_file.objective} <= {*metrics}
    assert {feature.name for feature in task_file.feature} <= {*metrics, "size"}
    assert task_file.stage[0].metric in quick
    verified = task.verify(result.construction)
    assert verified == {name: metrics[name] for name in verified}
    examples = [(one, one.verify(one.example()).value) for one in problems_of(task)]
    assert metrics["score"] >= fmean(one.score(value) for one, value in examples)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_start_program_never_loses_what_it_is_given(folder):
    module = loaded(folder)
    task = replace(module.TASK, budgets=SHORT, unseen=())
    given = task.full(DirectCandidate(MATHS / folder, seed=2))
    carried = DirectCandidate(MATHS / folder, seed=3, construction=given.construction)
    held_out = task.held_out(carried)
    assert {name: held_out[name] for name in task.verify(given.construction)} == task.verify(
        given.construction
    )
    for one in problems_of(task):
        known = one.verify(construction_of(task, given.construction, one))
        leading = (one.family,) if isinstance(task, FamilyTask) else ()
        onward = caller(task, carried).call(
            "search", *leading, *one.parameters.values(), plain_data(one, known), 3, 0.3
        )
        again = one.verify(onward, repair=True)
        assert one.score(again.value) >= one.score(known.value) - 1e-6


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_task_allows_what_its_searches_may_take(folder):
    task_file, budgets = load_native(MATHS / folder).file, loaded(folder).TASK.budgets
    task = loaded(folder).TASK
    count = len(problems_of(task))
    quick, full = task_file.stage
    assert quick.cpu_seconds > budgets.quick
    assert full.cpu_seconds > budgets.scratch + budgets.onward + 2 * (count > 1)
    assert task_file.held_out is not None
    needed = budgets.scratch * (1 + len(task.unseen) / count)
    assert task_file.held_out.cpu_seconds > needed


@pytest.mark.parametrize(
    ("folder", "other"),
    [
        ("no_isosceles", "no_isosceles_64"),
        ("matrix_multiplication", "matrix_multiplication_2_4_5"),
    ],
)
def test_sizes_of_one_problem_start_from_the_same_program(folder, other):
    one, two = (load_native(MATHS / name).files for name in (folder, other))
    assert one == two


def test_the_flagship_finds_the_largest_in_small_dimensions():
    candidate = DirectCandidate(MATHS / "kissing_number", seed=1)
    # All three are proved to be the largest; that of three dimensions has sqrt(2) in its tails.
    for d, largest in ((3, 12), (4, 24), (8, 240)):
        found = problem(f"kissing_{d}").verify(candidate.call("search", d, None, 1, 0.7))
        assert found.value.lower == largest


def test_orbits_of_the_flagship_clash_where_their_vectors_do():
    start = DirectCandidate(MATHS / "kissing_number", seed=1).module
    rng, kissing, m, scale = np.random.default_rng(1), problem("kissing_5"), 3, 3
    orbits = start.pool(5, m, scale, rng)
    near, members = start.clashes(orbits, m, scale), [start.members(one, m) for one in orbits]
    for i, j in rng.integers(len(orbits), size=(60, 2)):
        rows = members[i] + (members[j] if i != j else [])
        if near[i, j]:
            with pytest.raises(RefusedError):
                kissing.verify(np.array(rows).tolist())
        else:
            assert kissing.verify(np.array(rows).tolist()).value.lower == len(rows)
    assert 0 < near.mean() < 1


def test_walks_over_f2_find_strassens_rank_and_lift_it():
    program = SchemeSearch(DirectCandidate(MATHS / "matrix_multiplication", seed=1))
    found = problem("matrix_multiplication_2_2_2")
    first = found.verify(program.call("search", 2, 2, 2, None, 1, 0.5))
    assert first.value.lower == 7
    # What is known is not lost, rational or complex.
    for best in (plain_data(found, first), halved(plain_data(found, first))):
        assert found.verify(program.call("search", 2, 2, 2, best, 2, 0.3)).value.lower == 7


def halved(algorithm):
    """The same algorithm with all entries over 2."""
    doubled = {name: (2 * np.array(algorithm[name])).tolist() for name in "uvw"}
    return {"scale": 2 * algorithm["scale"], **doubled}


# Steps (u, v) in tenths and turns v, as the start program found them: 9 pairs that cost 11/10.
FOUND = ((3, 3), (0, 6), 4, (4, 4), 6, (3, 3), 6, (1, 3), 6)


@pytest.mark.parametrize("last", range(1, 10))
def test_chains_on_a_lattice_cost_more_than_one_where_no_start_is_bad(last):
    """The sets of ends that the beam search follows, against the verifier, for every last turn."""
    start = loaded_start("ring_loading")
    chains, chain, shift = start.Chains(10, 0), [], 0
    ends = np.broadcast_to(1 << np.arange(10), (1, 2, 10)).copy()
    for part in FOUND[:-1]:
        if isinstance(part, tuple):
            step = chains.steps.index(part)
            chain.append((-shift % 10, step))
            before = chains.turned(ends, shift)
            after = [chains.tables[step, c][before[:, c]] for c in range(2)]
            ends = chains.turned(np.stack(after, axis=1), -shift)
        shift += part[1] if isinstance(part, tuple) else part
    turn, at = -(shift + last) % 10, np.arange(10)
    even, odd = (ends[0, 0] >> (turn - at) % 10 & 1), (ends[0, 1] >> (turn - 1 - at) % 10 & 1)
    tenths = [(round(10 * u), round(10 * v)) for u, v in chains.pairs(chain, turn)]
    pairs = [[f"{u}/10", f"{v}/10"] for u, v in tenths]
    cost = problem(f"ring_loading_{len(pairs)}").verify(pairs).value.lower
    assert (cost > 1) == (not even.any() and not odd.any())
    assert (cost == Fraction(11, 10)) == (last == FOUND[-1])
