import json
from pathlib import Path

import pytest
from tests.cli.conftest import SMALL, Breeder, assert_one_line

from breeder import __version__

COMMANDS = (
    *("tasks", "new", "check", "run", "resume", "runs"),
    *("show", "diff", "export", "report", "doctor"),
)


def test_version_and_help(breeder: Breeder) -> None:
    assert breeder("--version").out == f"breeder {__version__}\n"
    shown = breeder("--help")
    assert shown.code == 0
    assert all(f"\n  {name} " in shown.out for name in COMMANDS)
    assert "..." not in shown.out.partition("Commands:")[2]  # no help text is cut off
    assert breeder() == shown  # without any argument there is help as well


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_explained(breeder: Breeder, command: str) -> None:
    shown = breeder(command, "--help")
    assert shown.code == 0
    options = [line for line in shown.out.splitlines() if line.startswith("  -")]
    assert options
    lines = shown.out.splitlines()
    for line in options:
        following = lines[lines.index(line) + 1] if line != lines[-1] else ""
        # Click moves the help of a long option to the next line.
        assert "  " in line.strip() or following.startswith(" " * 10), line


def test_the_shipped_tasks_are_listed(breeder: Breeder) -> None:
    names = [row["name"] for row in json.loads(breeder("tasks", "--json").out)]
    assert names == sorted(names)
    assert "systems/online_bin_packing" in names
    lines = breeder("tasks").out.splitlines()
    assert [line.split()[0] for line in lines] == names


def test_a_new_task_passes_its_check(breeder: Breeder, task: Path) -> None:
    made = breeder("new", "other")
    assert made == (0, "wrote other; next: breeder check other\n", "")
    checked = breeder("check", "other", "--sandbox", "none")
    assert checked.code == 0
    assert checked.out.splitlines()[-1] == "ready: other"
    data = json.loads(breeder("check", task, "--sandbox", "none", "--json").out)
    assert data["passed"] is True
    assert data["baselines"]["search"]["earliest due time"] == {"lateness": 1.0}


def test_a_run_says_what_it_reached_and_where_to_look(breeder: Breeder, task: Path) -> None:
    done = breeder("run", task, *SMALL)
    assert done.code == 0
    assert done.err == ""
    last = done.out.splitlines()[-1]
    assert last == "finished: budget used: evaluations. Report: breeder report runs/job-001"
    assert "12 evaluations" in done.out
    assert "starting the evaluator" in done.out
    # The name of the next run is free again.
    assert "runs/job-002" in breeder("run", task, "--evaluations", "1").out


def test_show_gives_what_scripts_rely_on(breeder: Breeder, finished: Path) -> None:
    data = json.loads(breeder("show", finished, "--json").out)
    assert data["status"] == "finished"
    assert data["evaluations"] == 12
    assert sum(data["failures"].values()) == 12 - data["succeeded"]
    for name in ("start", "champion"):
        program = data[name]
        assert len(program["id"]) == 16
        assert "def urgency" in program["files"]["initial.py"]
        assert program["metrics"]["lateness"] > 0
        assert program["held_out"]["lateness"] > 0
        assert program["trusted"] is True
    assert data["champion"]["fitness"] >= data["start"]["fitness"]
    assert {"search", "held_out", "engine"} <= data["cost"].keys()
    assert data["cost"]["search"]["cpu_seconds"] > 0
    assert data["budget"] == {"evaluations": 12}
    assert data["warnings"] == []
    text = breeder("show", finished)
    assert text.code == 0
    assert "job · finished" in text.out


def test_runs_diff_export_and_report(breeder: Breeder, finished: Path, tmp_path: Path) -> None:
    (row,) = json.loads(breeder("runs", "--json").out)
    assert (row["path"], row["status"], row["evaluations"]) == ("run", "finished", 12)
    assert "finished" in breeder("runs").out
    difference = json.loads(breeder("diff", finished, "--json").out)
    assert breeder("diff", finished).out.startswith(difference["before"])
    written = breeder("export", finished, "--to", tmp_path / "champion")
    assert written == (0, f"wrote {tmp_path}/champion\n", "")
    assert (tmp_path / "champion" / "reproduce.py").is_file()
    reported = breeder("report", finished, "--to", tmp_path / "page")
    assert reported.code == 0
    assert "<html" in (tmp_path / "page" / "index.html").read_text()


def test_doctor_names_machine_compilers_and_sandbox(breeder: Breeder) -> None:
    told = breeder("doctor", "--seconds", "0")
    assert told.code == 0
    assert [line.split()[0] for line in told.out.splitlines()[:8]] == [
        *("machine", "breeder", "compilers", "sandbox", "cores", "frequency", "simd", "clocks"),
    ]
    assert "noise floor" not in told.out


def test_doctor_measures_the_noise_floor_of_four_kinds_of_work(breeder: Breeder) -> None:
    kinds = ["cache-resident", "memory-bound", "multi-threaded", "python"]
    data = json.loads(breeder("doctor", "--seconds", "0.1", "--json").out)
    assert [floor["kind"] for floor in data["noise_floor"]] == kinds
    assert all(floor["pairs"] >= 12 for floor in data["noise_floor"])
    assert data["machine"]["cores"] == data["cores"]
    assert isinstance(data["advice"], list)


def test_doctor_refuses_a_negative_time(breeder: Breeder) -> None:
    assert_one_line(breeder("doctor", "--seconds", "-1"), "--seconds")


def test_a_run_whose_candidates_all_fail_leaves_with_1(breeder: Breeder, task: Path) -> None:
    evaluator = task / "evaluate.py"
    text = evaluator.read_text().replace(
        "def evaluate_quick(candidate: Candidate) -> Result:\n",
        "INITIAL = open(__file__.replace('evaluate.py', 'initial.py')).read()\n\n\n"
        "def evaluate_quick(candidate: Candidate) -> Result:\n"
        "    if candidate.files['initial.py'] != INITIAL:\n"
        "        raise InvalidAnswerError('only the start is good enough')\n",
    )
    evaluator.write_text(text)
    outcome = breeder("run", task, "--out", "run", "--evaluations", "4", "--json")
    assert_one_line(outcome, "nothing achieved: all 3 candidates failed (3 invalid)", code=1)
    data = json.loads(breeder("show", "run", "--json").out)
    assert data["status"] == "failed"
    assert data["failures"] == {"invalid": 3}
    assert_one_line(breeder("resume", "run"), "nothing achieved", code=1)


def test_a_start_that_fails_leaves_with_1(breeder: Breeder, task: Path) -> None:
    (task / "initial.py").write_text(
        "# EVOLVE-BLOCK-START\ndef order(jobs):\n    return []\n# EVOLVE-BLOCK-END\n"
    )
    outcome = breeder("run", task, "--out", "run", "--sandbox", "none")
    assert_one_line(outcome, "the initial program failed: invalid in stage quick", code=1)
    for command in ("diff", "export"):
        further = ("--to", "champion") if command == "export" else ()
        assert_one_line(breeder(command, "run", *further), "nothing to")
    assert breeder("show", "run").code == 0
    assert breeder("report", "run").code == 0
    assert not Path("champion").exists()
