"""The live view of a run: a few lines redrawn in the terminal, or plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.segment import Segment
from rich.style import Style

from breeder.core import Objective
from breeder.report.terminal import duration, printable
from breeder.report.verdict import number, percentage

REDRAW_SECONDS = 0.25
PLAIN_SECONDS = 10.0
IMPROVEMENTS = 5
BAR = 24

_BOLD, _DIM = Style(bold=True), Style(dim=True)
_GOOD, _BAD = Style(color="green"), Style(color="red")
_ALERT = Style(color="white", bgcolor="red", bold=True)
_NEWLINE = Segment.line()

Span = tuple[str, Style | None]


@dataclass(frozen=True, slots=True)
class Improvement:
    """One rise of the best score: when, by whom, to what."""

    evaluation: int
    elapsed: float
    proposer: str
    metrics: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """Where a run stands at one moment.

    Attributes:
        elapsed: run time in seconds.
        evaluations: search evaluations so far.
        succeeded: how many were admissible.
        failures: kind -> count.
        start: metrics of the start, None before it was evaluated or when it failed.
        best: metrics of the best program, None while nothing succeeded.
        shares: proposer -> share of the evaluations, 0 to 1.
        budget_left: share of the budget that is left, 1 to 0; None without a budget.
        seconds_left: estimated wall seconds until it is used up; None while unknown.
        limit: name of the limit that will be reached first; empty without one.
        improvements: the last ones, oldest first; the view shows the newest five.
        phase: what is going on, e.g. `searching`.
        race: where the race for champion of a measured task stands, in words; else empty.
        models: how the language models do, in words; empty without any.
    """

    elapsed: float
    evaluations: int
    succeeded: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    start: Mapping[str, float] | None = None
    best: Mapping[str, float] | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    budget_left: float | None = None
    seconds_left: float | None = None
    limit: str = ""
    improvements: Sequence[Improvement] = ()
    phase: str = ""
    race: str = ""
    models: str = ""


class LiveView:
    """Shows snapshots of a run; a context manager.

    On a terminal at most four redraws a second, in other places one line every ten seconds; what
    comes in between is dropped, so `update` may be called as often as convenient. No threads.

    Args:
        console: where to draw.
        task_name: shown first.
        objectives: whose values are shown, in order.
        warnings: badges, e.g. `sandbox: none`.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        console: Console,
        task_name: str,
        *,
        objectives: Sequence[Objective],
        warnings: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._task_name = console, task_name
        self._objectives, self._warnings = tuple(objectives), tuple(warnings)
        self._clock = clock
        self._next = -float("inf")
        self._interval = REDRAW_SECONDS if console.is_terminal else PLAIN_SECONDS
        self._last: LiveSnapshot | None = None
        self._phase = ""
        self._rate = _Rate()
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Draw the last snapshot and give the terminal back. Safe to call twice."""
        if self._last is not None:
            self._draw(self._last)
        if self._live is not None:
            self._live.stop()
        self._last = None

    def update(self, snapshot: LiveSnapshot) -> None:
        """Take a snapshot; draw it when the last drawing is old enough or the phase is new."""
        now = self._clock()
        self._last = snapshot
        if now < self._next and snapshot.phase == self._phase:
            return
        self._next = now + self._interval
        self._draw(snapshot)
        self._last = None

    def _draw(self, snapshot: LiveSnapshot) -> None:
        self._phase = snapshot.phase
        rate = self._rate.of(snapshot)
        if self._live is not None:
            lines = list(self._lines(snapshot, rate))
            self._live.update(_Drawing(lines), refresh=True)
        else:
            self._console.print(self._plain(snapshot, rate), markup=False, soft_wrap=True)

    def _lines(self, snapshot: LiveSnapshot, rate: float) -> Iterator[list[Span]]:
        yield [
            (self._task_name, _BOLD),
            (f"  {snapshot.phase}", _DIM),
            *((f" {w} ", _ALERT) for w in self._warnings),
        ]
        for objective in self._objectives:
            yield self._objective(objective, snapshot)
        if snapshot.race:
            yield [("race  ", _DIM), (snapshot.race, None)]
        failed = sum(snapshot.failures.values())
        kinds = sorted(snapshot.failures.items(), key=lambda item: -item[1])[:4]
        yield [
            (f"{snapshot.evaluations:,} evaluations", _BOLD),
            (f"  {rate:.3g}/s  ", None),
            (f"{failed:,} failed", _BAD if failed else _DIM),
            ("".join(f"  {kind} {count:,}" for kind, count in kinds), _DIM),
        ]
        if snapshot.shares:
            parts = (f"{name} {100 * share:.0f} %" for name, share in snapshot.shares.items())
            yield [("proposers  ", _DIM), ("   ".join(parts), None)]
        if snapshot.models:
            yield [("models  ", _DIM), (snapshot.models, None)]
        yield self._budget(snapshot)
        for item in reversed(snapshot.improvements[-IMPROVEMENTS:]):
            values = ", ".join(
                f"{o.name} {number(item.metrics[o.name])}"
                for o in self._objectives
                if o.name in item.metrics
            )
            who = f"{duration(item.elapsed):>12}  #{item.evaluation:<7}"
            yield [
                (who, _DIM),
                (values, _GOOD),
                (f"  {item.proposer}  {printable(item.note)}", _DIM),
            ]

    def _objective(self, objective: Objective, snapshot: LiveSnapshot) -> list[Span]:
        start = (snapshot.start or {}).get(objective.name)
        best = (snapshot.best or {}).get(objective.name)
        if best is None:
            return [(f"{objective.name}  ", None), ("nothing admissible yet", _DIM)]
        spans: list[Span] = [(f"{objective.name}  ", None), (number(best), _BOLD)]
        if start is not None:
            rise = objective.direction.sign * (best - start)
            style = _GOOD if rise > 0 else _BAD if rise < 0 else _DIM
            spans += [(f"  {percentage(start, best)}", style), (f"  start {number(start)}", _DIM)]
        return spans

    def _budget(self, snapshot: LiveSnapshot) -> list[Span]:
        if snapshot.budget_left is None:
            return [(f"{duration(snapshot.elapsed)}", None), ("  no budget set", _DIM)]
        used = round(BAR * (1.0 - min(1.0, max(0.0, snapshot.budget_left))))
        limit = f"{snapshot.limit.replace('_', ' ')}: " if snapshot.limit else ""
        left = f"  {limit}{100 * snapshot.budget_left:.0f} % left"
        return [
            ("━" * used, _GOOD),
            ("━" * (BAR - used), _DIM),
            (left, None),
            (f"  {duration(snapshot.elapsed)} run", _DIM),
            (f", about {_left(snapshot)} to go" if _left(snapshot) else "", _DIM),
        ]

    def _plain(self, snapshot: LiveSnapshot, rate: float) -> str:
        best, start = snapshot.best or {}, snapshot.start or {}
        scores = ", ".join(
            f"{o.name} {number(best[o.name])}"
            + (f" (start {number(start[o.name])})" if o.name in start else "")
            for o in self._objectives
            if o.name in best
        )
        parts = [
            "".join(f"[{w}] " for w in self._warnings) + self._task_name,
            snapshot.phase,
            f"{snapshot.evaluations} evaluations",
            f"{rate:.3g}/s",
            f"{sum(snapshot.failures.values())} failed",
            scores or "nothing admissible yet",
            snapshot.race,
            snapshot.models and f"models: {snapshot.models}",
            "" if snapshot.budget_left is None else f"{100 * snapshot.budget_left:.0f} % left",
            _left(snapshot) and f"about {_left(snapshot)} to go",
        ]
        return "  ".join(part for part in parts if part)


class _Rate:
    """Evaluations per second over about the last ten seconds of run time."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def of(self, snapshot: LiveSnapshot) -> float:
        """Return the rate at a snapshot, and remember it."""
        self._marks.append((snapshot.elapsed, snapshot.evaluations))
        while len(self._marks) > 2 and self._marks[1][0] < snapshot.elapsed - PLAIN_SECONDS:
            self._marks.pop(0)
        seconds, evaluations = self._marks[0]
        span = snapshot.elapsed - seconds
        if span <= 0:
            return snapshot.evaluations / snapshot.elapsed if snapshot.elapsed > 0 else 0.0
        return (snapshot.evaluations - evaluations) / span


class _Drawing:
    """Lines that need no layout: a rich table for the same costs ten times the CPU time."""

    def __init__(self, lines: Sequence[Sequence[Span]]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for line in self._lines:
            room = options.max_width
            for text, style in line:
                if room > 0 and text:
                    yield Segment(text[:room], style)
                    room -= len(text)
            yield _NEWLINE


def _left(snapshot: LiveSnapshot) -> str:
    return "" if snapshot.seconds_left is None else duration(snapshot.seconds_left)
