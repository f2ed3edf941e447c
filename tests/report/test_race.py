"""Views of a measured run: what is said without a confirmed champion, and with one."""

import io
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.report.made_up_run import Recipe, write_run

from breeder.archive.confirmed import confirmed_row
from breeder.archive.store import ChallengeOutcome, ChallengeRecord, EvaluationRecord, Store
from breeder.core import Cost, Elite, Evaluation, Placement, Program
from breeder.errors import RunError
from breeder.matched import StartArchive
from breeder.report.diff import compare_programs
from breeder.report.export import export
from breeder.report.page import write_report
from breeder.report.reproduction import overlap
from breeder.report.runs import list_runs
from breeder.report.summary import render, summarise

CONFIRMED, REFUTED = ChallengeOutcome.CONFIRMED, ChallengeOutcome.REFUTED
MEASURED = {
    "objective": [{"name": "speedup", "direction": "maximize", "weight": 1.0}],
    "measured": {"metric": "speedup"},
}


def evaluation(value: float) -> Evaluation:
    ends = {"speedup": (value - 0.02, value + 0.02)}
    return Evaluation({"speedup": value}, cost=Cost(cpu_seconds=1.0), intervals=ends, seed=7)


def write(folder: Path, challenges: Sequence[tuple[str, float, float, ChallengeOutcome]]) -> Store:
    """A finished run: (name, search score, value of its one heat, outcome), the start first."""
    made_up = write_run(folder / "base", Recipe(evaluations=1))
    with Store.open(made_up, readonly=True) as base:
        record = replace(base.run(), task_json=json.dumps(MEASURED))
    store = Store.create(folder / "run", record)
    for number, (name, score, value, outcome) in enumerate(challenges):
        program = Program(name, {"packing.py": f"x = {name!r}\n"}, ("start",) if number else ())
        row = EvaluationRecord(
            name, evaluation(score), draw=number - 1, island=0, fitness=score,
            placement=Placement.NEW, elapsed=float(number),
        )  # fmt: skip
        against = challenges[0][2] if number else None
        store.record(program, row, challenge=ChallengeRecord(number, 0, against=against))
        heat = store.record(
            program, EvaluationRecord(name, evaluation(value), split="confirm", fitness=value)
        )
        opened = store.challenges()[-1]
        store.conclude(
            replace(
                opened, outcome=outcome, value=value, low=value - 0.01, high=value + 0.01,
                heats=1, decided=heat,
            ),
            gain=0.0,
        )  # fmt: skip
    return store


@pytest.fixture
def nobody(tmp_path: Path) -> Store:
    return write(tmp_path, [("start", 1.0, 1.01, CONFIRMED), ("lucky", 1.5, 0.98, REFUTED)])


@pytest.fixture
def somebody(tmp_path: Path) -> Store:
    return write(
        tmp_path,
        [
            ("start", 1.0, 1.01, CONFIRMED),
            ("lucky", 1.5, 0.98, REFUTED),
            ("good", 1.3, 1.2, CONFIRMED),
        ],
    )


def shown(store: Store) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    render(summarise(store), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_without_a_confirmed_challenger_there_is_no_improvement(
    nobody: Store, tmp_path: Path
) -> None:
    data = json.loads(json.dumps(summarise(nobody).to_json()))
    assert data["champion"] is None
    assert data["improvement"].startswith("no improvement found")
    assert data["race"] == {
        "metric": "speedup", "improved": False, "start": [1.01, 1.0, 1.02], "champion": None,
        "challengers": 1, "confirmed": 0, "refuted": 1, "lapsed": 0, "open": 0, "heats": 2,
        "cpu_seconds": 2.0, "share": 0.5,
    }  # fmt: skip
    assert "no improvement found" in shown(nobody)
    assert "1 challenger: 0 confirmed, 1 refuted; 2 heats" in shown(nobody)
    assert "1.5" not in shown(nobody)
    for action in (compare_programs, lambda store: export(store, tmp_path / "to")):
        with pytest.raises(RunError, match="no improvement found"):
            action(nobody)
    nobody.close()
    page = write_report(tmp_path / "run", tmp_path / "page").read_text()
    assert "no improvement found" in page
    (listing,) = [run for run in list_runs(tmp_path) if run.path.endswith("/run") and not run.best]
    assert listing.best == {}


def test_a_confirmed_champion_is_shown_with_the_value_of_its_heats(
    somebody: Store, tmp_path: Path
) -> None:
    summary = summarise(somebody)
    assert summary.champion is not None
    assert summary.champion.metrics == {"speedup": 1.2}
    assert summary.champion.intervals["speedup"] == pytest.approx((1.19, 1.21))
    assert summary.improvement == (
        "speedup 1.01 -> 1.2 (+18.8 %, higher is better); "
        "confirmed on fresh samples, 95 % interval 1.19 to 1.21"
    )
    assert summary.race is not None
    assert summary.race.improved
    assert summary.cost["confirm"].cpu_seconds == 3.0
    diff = compare_programs(somebody)
    assert (diff.before, diff.after, diff.fitness_after) == ("start", "good", 1.2)
    export(somebody, tmp_path / "to")
    stored = json.loads((tmp_path / "to" / "evaluation.json").read_text())
    assert stored["search"]["metrics"] == {"speedup": 1.2}
    assert stored["race"]["confirmed"] == 1
    somebody.close()
    page = write_report(tmp_path / "run", tmp_path / "page").read_text()
    assert "2 challengers: 1 confirmed, 1 refuted" in page


def test_only_confirmed_programs_carry_confirmed_values(somebody: Store) -> None:
    rows = [confirmed_row(somebody, row) for row in somebody.evaluations()]
    assert [row.fitness for row in rows if row] == [1.01, 1.5, 1.2]
    assert confirmed_row(somebody, None) is None


def test_measured_figures_are_repeated_when_intervals_overlap() -> None:
    assert overlap((1.0, 1.2), (1.2, 1.4))
    assert not overlap((1.0, 1.2), (1.3, 1.4))
    assert not overlap(None, (1.3, 1.4))


def test_a_start_archive_puts_its_best_right() -> None:
    def elite(name: str, fitness: float) -> Elite:
        return Elite(Program(name, {}), evaluation(fitness), fitness)

    archive = StartArchive()
    archive.place(elite("start", 1.0), 0)
    archive.place(elite("lucky", 2.0), 0)
    archive.revise("lucky", elite("lucky", 0.9))
    assert [one.fitness for one in archive.front()] == [1.0]
    archive.place(elite("failing", 2.0), 0)
    archive.revise("start", elite("start", 1.1))
    archive.revise("failing", None)
    assert [one.fitness for one in archive.front()] == [1.1]
    assert archive.draw(random.Random(0)).parent.fitness == 1.1
