import json
import subprocess
import sys

import pytest
from tests.report.made_up_run import START, Recipe, program_of, write_run

from breeder.archive.store import EvaluationRecord, Store
from breeder.core import Direction, Evaluation, Failure, FailureKind, Objective
from breeder.errors import BreederError
from breeder.evaluation import sandboxes
from breeder.report import reproduction
from breeder.report.export import export
from breeder.task_formats import load

EXCESS = Objective("excess", Direction.MINIMIZE)


@pytest.mark.parametrize(
    ("objective", "before", "now", "words"),
    [
        (EXCESS, 1.0, 1.0 + 1e-12, "same"),
        (EXCESS, 1.0, 0.9, "better"),
        (EXCESS, 1.0, 1.1, "worse"),
        (Objective("x"), 1.0, 1.1, "better"),
        (None, 1.0, 1.1, "differs"),
        (EXCESS, 0.0, 0.0, "same"),
    ],
)
def test_verdict(objective, before, now, words):
    assert reproduction.verdict(objective, before, now, reproduction.EXACT) == words


@pytest.fixture
def task(made_up):
    return load(made_up().parent / "task")


@pytest.mark.parametrize(
    ("now", "good"),
    [
        (Evaluation({"excess": 10.0, "speed": 0.1}), [True, True]),
        (Evaluation({"excess": 10.5, "speed": 1.0}), [False, True]),
        (Evaluation({"speed": 1.0}), [False, True]),
        (Evaluation(failure=Failure(FailureKind.CRASH)), [False]),
    ],
)
def test_only_objectives_decide(task, now, good):
    stored = {"metrics": {"excess": 10.0, "speed": 1.0}, "failure": None}
    assert [held for held, _ in reproduction.compare(task, "search", stored, now, 1e-9)] == good


def test_tolerance_is_relative(task):
    stored = {"metrics": {"excess": 10.0}, "failure": None}
    now = Evaluation({"excess": 10.4})
    assert [good for good, _ in reproduction.compare(task, "search", stored, now, 0.05)] == [True]


def test_damaged_folder_is_one_line(tmp_path, capsys):
    assert reproduction.main([], tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture
def sandboxed():
    try:
        sandboxes.require("bubblewrap")
    except BreederError as error:
        pytest.skip(str(error))


def exported(tmp_path, excess):
    """Export a run whose champion is the start with weight 0.25 and has the figure given."""
    run = write_run(tmp_path, Recipe(evaluations=2, status="running", held_out=False))
    with Store.open(run) as store:
        program = program_of(
            START.replace("weight = 0.5", "weight = 0.25"), parents=(store.start().program_id,)
        )
        for split, figure in (("search", excess), ("held_out", 9.0)):
            evaluation = Evaluation({"excess": figure, "speed": 1.0}, seed=3)
            fitness = 1.0 if split == "search" else None
            row = EvaluationRecord(program.id, evaluation, split=split, draw=5, fitness=fitness)
            store.record(program, row)
        export(store, tmp_path / "out")
    return tmp_path / "out"


# By hand: priority(0.5, [0.5, 0.75, 1]) gives 0, -0.25, -0.5, so excess is 10 - 0.75 = 9.25; and
# priority(0.25, ...) gives -0.25, -0.5, -0.75, so held-out excess is 8.5, better than stored.
@pytest.mark.parametrize(("excess", "code"), [(9.25, 0), (9.0, 1)])
def test_exported_script_repeats_the_figure_in_the_sandbox(tmp_path, sandboxed, excess, code):
    folder = exported(tmp_path, excess)
    done = subprocess.run(
        [sys.executable, folder / "reproduce.py"],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    lines = {tuple(line.split()[:2]): line.split()[2:] for line in done.stdout.splitlines()}
    assert lines["search", "excess"][1:] == ["9.25", "same" if code == 0 else "worse"]
    assert lines["held_out", "excess"] == ["9", "8.5", "better"]
    assert done.stdout.endswith("\nreproduced\n" if code == 0 else "NOT reproduced\n")


def test_failing_program_is_not_reproduced(tmp_path, sandboxed, capsys):
    folder = exported(tmp_path, 9.25)
    text = (folder / "packing.py").read_text(encoding="utf-8")
    broken = text.replace("    scores = []", "    raise ValueError('broken')")
    (folder / "packing.py").write_text(broken, encoding="utf-8")
    assert reproduction.main([], folder) == 1
    assert "the program fails: exception" in capsys.readouterr().out


def test_script_is_the_module_itself(opened, tmp_path):
    export(opened(), tmp_path)
    script = (tmp_path / "reproduce.py").read_text(encoding="utf-8")
    assert script.splitlines()[0].startswith('"""Evaluate the program of an exported folder')
    assert json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))["format"] == 1
