import io
import json

import pytest
from rich.console import Console

from breeder.report.summary import render, summarise

KEYS = {
    "status", "detail", "task", "task_kind", "sandbox", "trusted", "warnings", "objectives",
    "start", "champion", "improvement", "held_out_verdict", "baseline_verdict", "evaluations",
    "succeeded", "failures", "discards", "cost", "proposers", "baselines", "elapsed", "budget",
    "config", "machine", "started_at", "finished_at", "breeder_version", "models", "race",
}  # fmt: skip


def rendered(store, width=80):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    render(summarise(store), console)
    return console.file.getvalue()


def test_keys_that_scripts_rely_on(opened):
    data = json.loads(json.dumps(summarise(opened()).to_json(), allow_nan=False))
    assert set(data) == KEYS
    for program in (data["start"], data["champion"]):
        assert {"id", "files", "metrics", "fitness", "trusted", "held_out"} <= set(program)
    assert set(data["cost"]) == {"search", "held_out", "baselines", "engine"}
    assert set(data["cost"]["search"]) == {"cpu_seconds", "wall_seconds", "tokens", "currency"}


def test_figures_are_those_of_the_store(opened):
    store = opened()
    summary, rows = summarise(store), list(store.evaluations())
    assert summary.evaluations == len(rows) == 300
    assert summary.succeeded == sum(row.fitness is not None for row in rows)
    assert sum(summary.failures.values()) == 300 - summary.succeeded
    best = max(row.fitness for row in rows if row.fitness is not None)
    assert summary.champion is not None
    assert summary.champion.fitness == best
    assert summary.champion.metrics["excess"] == -best
    assert sum(p.gain for p in summary.proposers) == pytest.approx(best - rows[0].fitness)
    assert sum(p.evaluations for p in summary.proposers) == 299
    assert sum(p.share for p in summary.proposers) == pytest.approx(1.0)
    assert summary.discards == {"duplicate": 17, "none": 4}
    assert summary.cost["baselines"].cpu_seconds == 32.5
    assert summary.budget == {"evaluations": 300}


def test_improvement_and_held_out_in_words(opened):
    summary = summarise(opened())
    assert summary.improvement.startswith("excess 0.0512 -> 0.04")
    assert "lower is better" in summary.improvement
    assert summary.held_out_verdict.startswith("holds up: better than the start")
    assert summary.baseline_verdict == "better than all 3 baselines on the search data"


def test_baseline_that_reaches_the_champion_is_shown_as_such(opened):
    summary = summarise(opened(strong_baseline=True))
    assert summary.baseline_verdict.startswith("a baseline reaches this too: tuned start")
    reaching = [row.name for row in summary.baselines if row.reaches_champion]
    assert reaching == ["tuned start"]
    assert "reaches the champion" in " ".join(rendered(opened(strong_baseline=True)).split())


def test_no_improvement_is_said_plainly(opened):
    summary = summarise(opened(improving=False, evaluations=60))
    assert summary.champion is not None
    assert summary.start is not None
    assert summary.champion.id == summary.start.id
    assert summary.improvement == "no improvement found: the start is still the best program"


def test_nothing_succeeded(opened):
    store = opened(succeeding=False, evaluations=20)
    summary = summarise(store)
    assert summary.champion is None
    assert summary.start is not None
    assert summary.start.failure == "exception: boom"
    assert summary.improvement == "nothing succeeded: all 20 evaluations failed"
    assert "nothing succeeded" in rendered(store)


def test_empty_run(opened):
    store = opened(evaluations=0, status="running", baselines=False)
    summary = summarise(store)
    assert summary.start is None
    assert summary.champion is None
    assert summary.improvement == "nothing has been evaluated yet"
    assert json.loads(json.dumps(summary.to_json()))["champion"] is None
    assert "nothing has been evaluated yet" in rendered(store)


def test_worsened_objective_is_called_worse(opened):
    summary = summarise(opened(two_objectives=True))
    assert summary.champion is not None
    worse = [
        part for part in summary.improvement.split("; ") if part.startswith(("excess", "speed"))
    ]
    assert len(worse) == 2
    rise = summary.champion.metrics["excess"] > 0.0512
    assert ("worse" in worse[0]) == rise
    assert "fitness" in summary.improvement


def test_badges_stand_in_the_terminal(opened):
    store = opened(sandbox="none", trusted=False, evaluations=30)
    assert summarise(store).warnings == ("sandbox: none", "self-reported")
    first = rendered(store).splitlines()[0]
    assert "sandbox: none" in first
    assert "self-reported" in first


@pytest.mark.parametrize("fields", [{}, {"two_objectives": True}, {"strong_baseline": True}])
def test_fits_80_columns(opened, fields):
    assert max(len(line) for line in rendered(opened(**fields)).splitlines()) <= 80
