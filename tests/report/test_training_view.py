import io

import pytest
from rich.console import Console

pytest.importorskip("torch", reason="torch is not installed")

from breeder.report.training_view import TrainingView, words
from breeder.training.trainer.trainer import Update


def update(step, held_out=None):
    return Update(step, 2.5, 1e-3, 0.9, 1000 * step, 2.0 * step, 512.4, 125.0, held_out)


def shown(*updates, terminal, quiet=False):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, color_system=None)
    with TrainingView(console, 1500, quiet=quiet) as view:
        view.read(3, 3)
        for one in updates:
            view.show(one)
    return file.getvalue()


def test_a_line_says_where_training_stands():
    assert words(update(7), 1500) == (
        "step 7/1,500   loss 2.500   512 tokens/s   about 2 min 05 s left"
    )
    assert words(update(1500, 2.25), 1500) == (
        "step 1,500/1,500   loss 2.500   held-out 2.250   512 tokens/s"
    )


def test_a_pipe_gets_held_out_losses_and_a_line_now_and_then():
    lines = shown(update(1), update(2), update(3, 2.0), terminal=False).splitlines()
    assert [line.partition("   ")[0] for line in lines] == [
        "tokenised 3 of 3 texts",
        "step 3/1,500",
    ]


def test_a_terminal_is_redrawn_and_keeps_held_out_losses():
    text = shown(update(1), update(2, 2.0), update(3), terminal=True)
    assert "step 1/1,500" in text
    assert "held-out 2.000" in text.replace("\x1b", "")
    assert "step 3/1,500" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_draws_nothing(terminal):
    assert shown(update(1, 2.0), terminal=terminal, quiet=True).strip() == ""
