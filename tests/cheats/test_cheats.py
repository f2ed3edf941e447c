"""Every cheat is caught and no honest variant refused, through the real executor and sandbox."""

import pytest

from breeder.verification.cheats import CheatOutcome, CheatReport, HonestOutcome, chapters, run_all

TASKS = [chapter.task for chapter in chapters()]
# What the fast part of the suite runs: the timed task of the two needs a family of kernels first.
FAST = [task for task in TASKS if task != "kernels/matmul_tiling"]


@pytest.mark.parametrize("task", FAST)
def test_fast_cheats_are_caught(task: str) -> None:
    check(run_all(tasks=[task], fast=True))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("task", TASKS)
def test_all_cheats_are_caught(task: str) -> None:
    check(run_all(tasks=[task]))


def check(report: CheatReport) -> None:
    assert [(one.cheat, one.by) for one in report.cheats if not one.caught] == []
    assert [(one.variant, one.by) for one in report.honest if one.refused] == []
    assert report.passed


CAUGHT = CheatOutcome("lies", "a/b", "says so", caught=True, by="invalid: no", seconds=0.5)
MISSED = CheatOutcome("hides", "a/b", "hides", caught=False, by="NOT CAUGHT: scores 9", seconds=1.0)
FINE = HonestOutcome("plain", "a/b", "nothing", refused=False, by="1.0", seconds=0.1)
REFUSED = HonestOutcome("odd", "a/b", "odd", refused=True, by="invalid: odd\nmore", seconds=0.1)


@pytest.mark.parametrize(
    ("cheats", "honest", "passed"),
    [
        ((CAUGHT,), (FINE,), True),
        ((CAUGHT, MISSED), (FINE,), False),
        ((CAUGHT,), (FINE, REFUSED), False),
        ((), (FINE,), False),
    ],
)
def test_a_report_passes_only_when_everything_is_right(
    cheats: tuple[CheatOutcome, ...], honest: tuple[HonestOutcome, ...], passed: bool
) -> None:
    report = CheatReport(cheats, honest)
    assert report.passed is passed
    assert report.to_json()["passed"] is passed


def test_what_went_wrong_stands_first() -> None:
    lines = CheatReport((CAUGHT, MISSED), (FINE, REFUSED)).render().splitlines()
    assert lines[0] == "cheats caught: 1 of 2; honest variants refused: 1 of 2"
    assert lines[1].startswith("NOT CAUGHT")
    assert lines[2].startswith("REFUSED")
    assert lines[2].endswith("invalid: odd")
    assert len(lines) == 5
