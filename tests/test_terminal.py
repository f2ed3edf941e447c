import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from breeder import scaffold
from breeder.config import BudgetConfig, RunConfig
from breeder.runner import Run
from breeder.task import Task
from breeder.task_formats import load
from breeder.terminal import Terminal

DATA = Path(__file__).parent / "data"
# One evaluation: the start alone, which is written by hand.
START_ALONE = RunConfig(slots=1, sandbox="none", budget=BudgetConfig(evaluations=1))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    scaffold.new(tmp_path / "job")
    return load(tmp_path / "job")


def watched(task: Task, folder: Path, *, quiet: bool = False, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=120, force_terminal=terminal, color_system=None)
    view = Terminal(console, task, START_ALONE, quiet=quiet)
    with view:
        asyncio.run(Run(task, START_ALONE, folder, watch=view.watch()).start())
    return file.getvalue()


def test_a_pipe_gets_a_line_per_phase(task: Task, tmp_path: Path) -> None:
    lines = watched(task, tmp_path / "run").splitlines()
    phases = ("starting the evaluator", "searching", "evaluating on held-out data")
    assert all(line.startswith("[sandbox: none] job  ") for line in lines)
    assert [next(p for p in phases if p in line) for line in lines[:3]] == list(phases)
    assert "1 evaluations" in lines[-1]
    assert "lateness 1.07031 (start 1.07031)" in lines[-1]
    assert "0 % left" in lines[-1]


def test_a_terminal_is_given_back(task: Task, tmp_path: Path) -> None:
    shown = watched(task, tmp_path / "run", terminal=True)
    assert "lateness  1.07031" in shown
    assert "evaluations: 0 % left" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back


def test_nothing_is_drawn_beside_output_for_programs(task: Task, tmp_path: Path) -> None:
    assert watched(task, tmp_path / "run", quiet=True) == ""


def test_self_reported_scores_are_marked() -> None:
    file = io.StringIO()
    foreign = load(DATA / "openevolve_valley")
    view = Terminal(Console(file=file), foreign, RunConfig(), quiet=False)
    with view:
        view.watch().on_phase("starting the evaluator")
    assert file.getvalue().startswith("[self-reported] openevolve_valley  starting the evaluator")
