import json
from pathlib import Path

import pytest

from breeder import scaffold
from breeder.checking import CheckReport, Level, check
from breeder.task import Task
from breeder.task_formats import load

DATA = Path(__file__).parent / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scaffold.new(tmp_path / "task")
    return tmp_path / "task"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def unconfined(task: Task) -> CheckReport:
    """Check without isolation: every program here is written by hand and harmless."""
    return check(task, "none")


def mistakes(report: CheckReport) -> list[str]:
    return [finding.text for finding in report.findings if finding.level is Level.MISTAKE]


def test_the_scaffolded_task_passes_with_held_out_and_baselines(folder: Path) -> None:
    report = unconfined(load(folder))
    assert report.passed
    assert report.evaluations["search"].metrics["lateness"] > 0
    assert report.evaluations["held_out"].metrics["lateness"] > 0
    assert report.baselines["search"]["earliest due time"] == {"lateness": 1.0}
    assert report.baselines["held_out"]["weight per duration"]["lateness"] != 1.0
    lines = report.lines()
    assert lines[-1] == "ready: task"
    assert any("passes quick, full: lateness = " in line for line in lines)
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["passed"] is True
    assert data["initial"]["search"]["failure"] is None
    assert data["initial"]["search"]["trusted"] is True


def test_checking_leaves_the_folder_as_it_was(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.rglob("*")}
    unconfined(load(folder))
    assert {path.name: path.read_bytes() for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        (
            "task.toml",
            'name = "late_jobs"',
            'name = "late_job"',
            "task.toml: feature.1.name: 'late_job' is no metric of the evaluator; use one of size,",
        ),
        (
            "task.toml",
            'metric = "lateness"\nat_most = 3.0',
            'metric = "speed"\nat_most = 3.0',
            "evaluate.py: the metric 'speed' of a threshold is missing; known: late_jobs, lateness",
        ),
        (
            "task.toml",
            'name = "lateness"\ndirection',
            'name = "earliness"\ndirection',
            "evaluate.py: the metric 'earliness' of an objective is missing",
        ),
        (
            "task.toml",
            'function = "evaluate_quick"',
            'function = "evaluate_slowly"',
            "evaluate.py: has no function 'evaluate_slowly', which task.toml names",
        ),
        ("evaluate.py", "import random", "import randon", "ModuleNotFoundError"),
        (
            "evaluate.py",
            "    return Result(metrics",
            "    Result(metrics",
            "evaluate.py: evaluate_quick returned nothing, not a mapping of metrics or a Result",
        ),
        ("evaluate.py", "ours / yardstick", "ours / 0", "in score: ZeroDivisionError"),
        ("initial.py", "return chosen", "return chosen[1:]", "fails: invalid in stage quick:"),
        ("initial.py", "def order", "def ordering", "fails: missing in stage quick:"),
        ("task.toml", "at_most = 3.0", "at_most = 0.1", "fails: threshold in stage quick:"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, file: str, old: str, new: str, line: str) -> None:
    edit(folder / file, old, new)
    report = unconfined(load(folder))
    (found,) = mistakes(report)
    assert line in found
    assert "\n" not in found
    assert not report.passed
    assert report.lines()[-1] == "not ready: task"


def test_a_feature_outside_its_range_and_a_missing_held_out_are_notes(folder: Path) -> None:
    edit(folder / "task.toml", 'name = "late_jobs"\nlow = 0', 'name = "late_jobs"\nlow = 0.99')
    edit(folder / "task.toml", '[held_out]\nfunction = "evaluate_held_out"', "")
    edit(folder / "evaluate.py", "def baselines", "def others")
    report = unconfined(load(folder))
    assert report.passed
    notes = [finding.text for finding in report.findings if finding.level is Level.NOTE]
    assert any("lies outside its range 0.99 to 1" in note for note in notes)
    assert "none: nothing will confirm a champion" in notes
    assert "none stated" in notes


def test_a_language_that_cannot_be_run_is_a_mistake(folder: Path) -> None:
    edit(folder / "task.toml", 'files = ["initial.py"]', 'files = ["initial.rb"]')
    (folder / "initial.rb").write_text((folder / "initial.py").read_text())
    (found,) = mistakes(unconfined(load(folder)))
    assert "task.toml: program.command: is missing, but a ruby program is run as a command" in found


def test_a_foreign_folder_is_labelled_self_reported() -> None:
    report = unconfined(load(DATA / "shinka_spread"))
    assert report.passed
    assert any("self-reported" in finding.text for finding in report.findings)
    assert report.to_json()["initial"]["search"]["trusted"] is False
