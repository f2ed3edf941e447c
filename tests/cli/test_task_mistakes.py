import json
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder, assert_one_line

ONCE = ("--out", "run", "--evaluations", "1", "--sandbox", "none")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("task.toml", "[limits]", "[limit]", "limit: unknown key; did you mean 'limits'?"),
        ("task.toml", "memory_mib = 512", 'memory_mib = "lots"', "limits.memory_mib"),
        ("task.toml", "[[objective]]", "[objective]", "write [[objective]] in two brackets"),
        ("task.toml", 'files = ["initial.py"]', 'files = ["start.py"]', "'start.py' does not"),
        ("task.toml", "minutes = 2", "minutes = ", "task.toml: is not valid TOML"),
        ("task.toml", "minutes = 2", "minutes = 0", "budget.minutes: input should be greater"),
        ("initial.py", "# EVOLVE-BLOCK-START", "# start", "initial.py: "),
        ("evaluate.py", "import random", "import randon", "ModuleNotFoundError"),
        ("evaluate.py", "import random", "import random, sys; sys.exit(3)", "SystemExit: 3"),
        ("evaluate.py", "JOBS = 30", "JOBS = 30 +", "evaluate.py: line 11: SyntaxError"),
        (
            "evaluate.py",
            "ours = yardstick",
            "raise KeyError('x')\n    ours = yardstick",
            "KeyError",
        ),
        ("evaluate.py", "return Result(metrics", "Result(metrics", "returned nothing"),
        ("evaluate.py", '"lateness": ours', '"delay": ours', "the metric 'lateness'"),
        ("evaluate.py", "def evaluate(", "def evaluated(", "has no function 'evaluate'"),
    ],
)
def test_a_mistake_in_the_task_is_one_line(
    breeder: Breeder, task: Path, file: str, old: str, new: str, words: str
) -> None:
    edit(task / file, old, new)
    assert_one_line(breeder("run", task, *ONCE), words)
    if Path("run").exists():  # it was found when the evaluator was asked; the run says so
        data = json.loads(breeder("show", "run", "--json").out)
        assert (data["status"], data["champion"]) == ("failed", None)
        assert words in data["detail"]
    checked = breeder("check", task, "--sandbox", "none")
    assert checked.code == 2
    assert words in checked.out
    assert checked.out.splitlines()[-1].startswith("not ready: ")
    assert "Traceback" not in checked.out + checked.err


def test_a_metric_that_is_no_number_fails_the_start(breeder: Breeder, task: Path) -> None:
    edit(task / "evaluate.py", '"lateness": ours / yardstick', '"lateness": float("nan")')
    outcome = breeder("run", task, *ONCE)
    assert_one_line(outcome, "the initial program failed: non-finite", code=1)
    checked = breeder("check", task, "--sandbox", "none")
    assert checked.code == 2
    assert "fails: non-finite in stage quick: lateness = nan" in checked.out


def test_a_mended_task_runs_where_the_broken_one_failed(breeder: Breeder, task: Path) -> None:
    edit(task / "evaluate.py", "import random", "import randon")
    assert breeder("run", task, *ONCE).code == 2
    edit(task / "evaluate.py", "import randon", "import random")
    # The digest has changed with the mending, so this is a new run in a new place.
    again = breeder("run", task, "--out", "other", *ONCE[2:])
    assert again.code == 0


def test_check_prints_every_mistake_of_a_task_file(breeder: Breeder, task: Path) -> None:
    edit(task / "task.toml", "[limits]", "[limit]")
    edit(task / "task.toml", 'direction = "minimize"', 'direction = "down"')
    edit(task / "task.toml", "bins = 8", "bins = 0")
    checked = breeder("check", task)
    assert checked.code == 2
    lines = checked.out.splitlines()
    assert [line for line in lines if line.startswith("mistake")] == lines[:-1]
    assert len(lines) == 5  # two features have bins
    for words in ("limit: unknown key", "objective.0.direction", "feature.0.bins", "feature.1.bin"):
        assert words in checked.out
    data = json.loads(breeder("check", task, "--json").out)
    assert (data["task"], data["passed"], len(data["findings"])) == ("job", False, 4)


def test_findings_are_told_when_they_are_made(task: Path) -> None:
    from breeder.checking import check_folder

    told: list[str] = []
    report = check_folder(str(task), "none", watch=lambda finding: told.append(str(finding)))
    assert [*told, "ready: job"] == report.lines()
