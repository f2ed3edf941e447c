import json
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder, assert_one_line


def numbers(outcome_out: str) -> tuple[str, int, dict[str, float]]:
    data = json.loads(outcome_out)
    return data["status"], data["evaluations"], data["budget"]


def test_a_finished_run_is_only_given_what_it_is_owed(breeder: Breeder, mine: Path) -> None:
    before = json.loads(breeder("show", mine, "--json").out)
    done = breeder("resume", mine)
    assert done.code == 0
    first, *_, last = done.out.splitlines()
    assert first == ("run is finished (budget used: evaluations); doing only what it still owes")
    assert last.startswith("finished: budget used: evaluations")
    after = json.loads(breeder("show", mine, "--json").out)
    for key in ("status", "evaluations", "champion", "start", "budget", "baselines"):
        assert after[key] == before[key]
    assert after["cost"]["held_out"] == before["cost"]["held_out"]


def test_a_larger_budget_goes_on_where_the_run_ended(breeder: Breeder, mine: Path) -> None:
    assert numbers(breeder("show", mine, "--json").out) == ("finished", 12, {"evaluations": 12})
    done = breeder("resume", mine, "--evaluations", "16", "--json")
    assert done.code == 0
    assert numbers(done.out) == ("finished", 16, {"evaluations": 16})
    # The new limit is part of the run from now on.
    assert numbers(breeder("resume", mine, "--json").out) == ("finished", 16, {"evaluations": 16})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--evaluations", "12"), "--evaluations: must be above 12, the run's limit (got 12)"),
        (("--evaluations", "0"), "--evaluations: must be above 12, the run's limit (got 0)"),
        (("--minutes", "5"), "--minutes: the run has no such limit; it has --evaluations 12"),
        (("--cpu-seconds", "nan"), "--cpu-seconds: the run has no such limit"),
    ],
)
def test_a_limit_can_only_be_raised(
    breeder: Breeder, mine: Path, flags: tuple[str, ...], words: str
) -> None:
    assert_one_line(breeder("resume", mine, *flags), words)
    assert numbers(breeder("show", mine, "--json").out) == ("finished", 12, {"evaluations": 12})


def test_a_raised_limit_must_be_a_number(breeder: Breeder, task: Path) -> None:
    made = ("--out", "run", "--cpu-seconds", "0.001", "--sandbox", "none")
    assert breeder("run", task, *made).code == 0
    for value in ("nan", "inf"):
        assert_one_line(breeder("resume", "run", "--cpu-seconds", value), "--cpu-seconds: must be")
    assert numbers(breeder("show", "run", "--json").out)[2] == {"cpu_seconds": 0.001}
