import io
from dataclasses import replace

import pytest
from rich.console import Console

from breeder.core import Direction, Objective
from breeder.report.live import Improvement, LiveSnapshot, LiveView

EXCESS = Objective("excess", Direction.MINIMIZE)
SNAPSHOT = LiveSnapshot(
    elapsed=60.0,
    evaluations=600,
    succeeded=550,
    failures={"crash": 20, "syntax": 30},
    start={"excess": 0.05},
    best={"excess": 0.04},
    shares={"syntax": 0.6, "tuning": 0.4},
    budget_left=0.75,
    seconds_left=180.0,
    limit="minutes",
    improvements=[
        Improvement(n, n / 10, "tuning", {"excess": 0.05 - n / 1e5}, f"step {n}\x1b[2J")
        for n in range(100, 700, 100)
    ],
    phase="searching",
)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Screen:
    def __init__(self, *, terminal, **options):
        self.clock = Clock()
        self.file = io.StringIO()
        console = Console(
            file=self.file,
            force_terminal=terminal,
            width=100,
            color_system=None,
            legacy_windows=False,
        )
        self.view = LiveView(console, "systems/x", objectives=[EXCESS], clock=self.clock, **options)

    def taken(self):
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        return text


@pytest.fixture
def terminal():
    screen = Screen(terminal=True, warnings=["sandbox: none"])
    with screen.view:
        screen.taken()
        yield screen


def test_terminal_shows_everything(terminal):
    terminal.view.update(SNAPSHOT)
    text = terminal.taken()
    for words in (
        "systems/x  searching sandbox: none",
        "excess  0.04  -20 %  start 0.05",
        "600 evaluations  10/s  50 failed  syntax 30  crash 20",
        "syntax 60 %   tuning 40 %",
        "minutes: 75 % left  1 min 00 s run, about 3 min 00 s to go",
        "#600",
        "step 200",
    ):
        assert words in text
    assert "step 100" not in text  # only the newest five
    assert "\x1b[2J" not in text


def test_redraws_at_most_four_times_a_second(terminal):
    drawn = 0
    for step in range(100):
        terminal.clock.now = step * 0.05
        terminal.view.update(SNAPSHOT)
        drawn += bool(terminal.taken())
    assert drawn == 20


def test_a_new_phase_is_shown_at_once(terminal):
    terminal.view.update(SNAPSHOT)
    terminal.taken()
    terminal.view.update(replace(SNAPSHOT, phase="evaluating on held-out data"))
    assert "evaluating on held-out data" in terminal.taken()


def test_pipe_gets_a_line_every_ten_seconds():
    screen = Screen(terminal=False, warnings=["self-reported"])
    with screen.view:
        for second in range(31):
            screen.clock.now = float(second)
            screen.view.update(replace(SNAPSHOT, evaluations=second * 5, elapsed=float(second)))
    lines = screen.taken().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("[self-reported] systems/x  searching  0 evaluations")
    assert "150 evaluations  5/s  50 failed  excess 0.04 (start 0.05)  75 % left" in lines[-1]
    assert not any("\x1b" in line for line in lines)


def test_the_last_snapshot_is_never_lost():
    screen = Screen(terminal=False)
    with screen.view:
        screen.view.update(SNAPSHOT)
        screen.clock.now = 1.0
        screen.view.update(replace(SNAPSHOT, evaluations=777))
        assert "777" not in screen.file.getvalue()
    assert "777 evaluations" in screen.taken().splitlines()[-1]


def test_before_anything_succeeded(terminal):
    terminal.view.update(LiveSnapshot(elapsed=0.0, evaluations=0, phase="starting"))
    text = terminal.taken()
    assert "nothing admissible yet" in text
    assert "no budget set" in text
    assert "nan" not in text


def test_a_worse_objective_keeps_its_sign(terminal):
    terminal.view.update(replace(SNAPSHOT, best={"excess": 0.06}))
    assert "excess  0.06  +20 %  start 0.05" in terminal.taken()


def test_closing_twice_is_safe():
    screen = Screen(terminal=True)
    with screen.view:
        screen.view.update(SNAPSHOT)
    screen.view.close()
    assert "\x1b[?25h" in screen.taken()  # the cursor is back
