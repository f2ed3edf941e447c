"""What must not be overlooked is shown in every view: no sandbox, self-reported scores."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder

DATA = Path(__file__).parents[1] / "data"


def views(breeder: Breeder, run: str, folder: Path) -> dict[str, str]:
    """Every view of a run that a person or a program looks at."""
    assert breeder("export", run, "--to", folder / "champion").code == 0
    assert breeder("report", run, "--to", folder / "page").code == 0
    return {
        "show": breeder("show", run).out,
        "show --json": " ".join(json.loads(breeder("show", run, "--json").out)["warnings"]),
        "runs": breeder("runs").out,
        "runs --json": " ".join(json.loads(breeder("runs", "--json").out)[0]["warnings"]),
        "report": (folder / "page" / "index.html").read_text(),
        "export": (folder / "champion" / "README.md").read_text(),
    }


def test_a_run_without_sandbox_says_so_everywhere(
    breeder: Breeder, task: Path, tmp_path: Path
) -> None:
    # One evaluation is the start alone, a program that is written by hand.
    flags = ("--out", "run", "--evaluations", "1", "--sandbox", "none")
    live = breeder("run", task, *flags)
    assert live.code == 0
    shown = views(breeder, "run", tmp_path)
    shown["live"] = live.out.splitlines()[0]
    assert {view: "sandbox: none" in text for view, text in shown.items()} == dict.fromkeys(
        shown, True
    )
    assert not any("self-reported" in text for view, text in shown.items() if view != "report")


@pytest.mark.parametrize("folder", ["openevolve_valley", "shinka_spread"])
def test_foreign_scores_are_self_reported_everywhere(
    breeder: Breeder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    live = breeder("run", DATA / folder, "--out", "run", "--evaluations", "1", "--slots", "1")
    assert live.code == 0
    shown = views(breeder, "run", tmp_path)
    shown["live"] = live.out.splitlines()[0]
    assert {view: "self-reported" in text for view, text in shown.items()} == dict.fromkeys(
        shown, True
    )
    data = json.loads(breeder("show", "run", "--json").out)
    assert data["trusted"] is data["champion"]["trusted"] is data["start"]["trusted"] is False


def test_a_confined_run_of_a_trusted_task_has_no_label(
    breeder: Breeder, finished: Path, tmp_path: Path
) -> None:
    shown = views(breeder, str(finished), tmp_path)
    for view, text in shown.items():
        if view != "report":  # its explanations may name the labels
            assert "sandbox: none" not in text, view
            assert "self-reported" not in text, view
