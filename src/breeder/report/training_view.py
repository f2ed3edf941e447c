"""Shows training while it goes on: a line redrawn in a terminal, or one now and then in a pipe."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from breeder.report.terminal import duration

if TYPE_CHECKING:
    from breeder.training.trainer.trainer import Update

PLAIN_SECONDS = 10.0


def words(update: Update, steps: int) -> str:
    """One line on where training stands."""
    parts = [
        f"step {update.step:,}/{steps:,}",
        f"loss {update.loss:.3f}",
        f"{update.tokens_per_second:,.0f} tokens/s",
    ]
    if update.held_out_loss is not None:
        parts.insert(2, f"held-out {update.held_out_loss:.3f}")
    if update.step < steps:
        parts.append(f"about {duration(update.seconds_left)} left")
    return "   ".join(parts)


class TrainingView:
    """A context manager whose `show` is told each update.

    Args:
        console: where to draw.
        steps: of the whole run.
        quiet: draw nothing.
    """

    def __init__(self, console: Console, steps: int, *, quiet: bool) -> None:
        self._console, self._steps, self._quiet = console, steps, quiet
        self._live: Live | None = None
        self._last = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def read(self, done: int, count: int) -> None:
        """Tell that so many texts of so many were turned into tokens."""
        if done == count or time.monotonic() - self._last >= PLAIN_SECONDS:
            self._say(f"tokenised {done:,} of {count:,} texts")

    def show(self, update: Update) -> None:
        """Tell an update; held-out losses stay on the screen."""
        if self._quiet:
            return
        line = words(update, self._steps)
        stays = update.held_out_loss is not None
        if self._live is not None and not stays:
            self._live.update(Text(line), refresh=True)
        elif stays or time.monotonic() - self._last >= PLAIN_SECONDS:
            self._say(line)

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._last = time.monotonic()
            self._console.print(Text(line))
