"""Shows a run while it goes on: turns the engine's state into snapshots for the live view."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console

from breeder.config import RunConfig
from breeder.engine import Engine
from breeder.report import models
from breeder.report.live import Improvement, LiveSnapshot, LiveView
from breeder.report.race import live_words
from breeder.runner import Watch
from breeder.task import Task


class Terminal:
    """A context manager that watches one sitting.

    Args:
        console: where to draw.
        task: whose objectives are shown.
        config: says how candidates are isolated.
        quiet: draw nothing; for output that a program reads.
    """

    def __init__(self, console: Console, task: Task, config: RunConfig, *, quiet: bool) -> None:
        warnings = []
        if config.sandbox == "none":
            warnings.append("sandbox: none")
        if not task.trusted:
            warnings.append("self-reported")
        self._view = None
        if not quiet:
            self._view = LiveView(console, task.name, objectives=task.objectives, warnings=warnings)
        self._phase = ""
        self._engine: Engine | None = None

    def watch(self) -> Watch:
        """What the runner is to call."""
        return Watch(on_change=self._change, on_phase=self._enter)

    def __enter__(self) -> Self:
        if self._view is not None:
            self._view.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._view is not None:
            self._view.__exit__(kind, error, trace)

    def _enter(self, phase: str) -> None:
        self._phase = phase
        if self._view is not None:
            if self._engine is not None:
                self._view.update(self._snapshot(self._engine))
            else:
                self._view.update(LiveSnapshot(0.0, 0, phase=phase))

    def _change(self, engine: Engine) -> None:
        self._engine = engine
        if self._view is not None:
            self._view.update(self._snapshot(engine))

    def _snapshot(self, engine: Engine) -> LiveSnapshot:
        progress, ledger, team = engine.progress, engine.parts.ledger, engine.parts.team
        best = progress.champion
        left = ledger.remaining()
        return LiveSnapshot(
            elapsed=ledger.elapsed(),
            evaluations=ledger.evaluations,
            succeeded=progress.succeeded + (progress.start is not None),
            failures=progress.failures,
            start=progress.start.evaluation.metrics if progress.start else None,
            best=best.evaluation.metrics if best else None,
            shares={share.name: share.share for share in engine.parts.mixture.shares()},
            budget_left=left.share if left.limit else None,
            seconds_left=left.seconds,
            limit=left.limit.replace("_", " "),
            improvements=[
                Improvement(
                    rise.evaluation,
                    rise.elapsed,
                    rise.program.proposer,
                    rise.metrics,
                    rise.program.note,
                )
                for rise in engine.rises
            ],
            phase=self._phase,
            race=live_words(progress.race),
            models=models.live_words(team.record()) if team is not None else "",
        )
