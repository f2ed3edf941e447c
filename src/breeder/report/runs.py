"""The runs below a folder, for `breeder runs`. A damaged one is listed with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from breeder.archive.confirmed import confirmed_row
from breeder.archive.store import FILE_NAME, EvaluationRecord, RunRecord, Store
from breeder.errors import BreederError
from breeder.report import verdict
from breeder.report.run_data import objectives_of
from breeder.report.terminal import duration


@dataclass(frozen=True, slots=True)
class RunListing:
    """One run.

    Attributes:
        path: the run's directory, as reached from the root.
        task: name of the task; empty when the store cannot be read, like all that follows.
        status: `running`, `finished`, `stopped`, `failed`, or `unreadable`.
        evaluations: number of search evaluations.
        best: objective -> value of the champion; empty when nothing succeeded, or was confirmed.
        warnings: `sandbox: none`, `self-reported`.
        started_at: ISO 8601, UTC.
        age_seconds: time since it was started; None when unreadable.
        problem: why it cannot be read, one line; empty otherwise.
    """

    path: str
    task: str = ""
    status: str = "unreadable"
    evaluations: int = 0
    best: dict[str, float] | None = None
    warnings: tuple[str, ...] = ()
    started_at: str = ""
    age_seconds: float | None = None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the listing as JSON-ready data."""
        return asdict(self)


def list_runs(root: Path, *, now: datetime | None = None) -> list[RunListing]:
    """Find the runs at or below a folder, newest first, unreadable ones last.

    Hidden folders and links are not entered, nor are folders inside a run.

    Args:
        root: where to look.
        now: the time that ages count from; the clock's by default.
    """
    moment = now or datetime.now(UTC)
    found = [_listing(folder, moment) for folder in _folders(root)]
    return sorted(found, key=lambda run: (run.started_at, run.path), reverse=True)


def new_folder(name: str) -> Path:
    """The first of `runs/NAME-001`, `runs/NAME-002`, ... that is not there yet."""
    base = Path("runs") / name.replace("/", "-")
    number = 1
    while (folder := base.with_name(f"{base.name}-{number:03d}")).exists():
        number += 1
    return folder


def render_runs(runs: Sequence[RunListing], console: Console) -> None:
    """Print a listing as a table, within 80 columns."""
    if not runs:
        console.print("no runs here; start one with: breeder run TASK")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("run", "task", "status", "best", "age"):
        table.add_column(column, overflow="fold")
    for run in runs:
        best = ", ".join(f"{k} {verdict.number(v)}" for k, v in (run.best or {}).items())
        marks = "".join(f" [red]{escape(f'[{w}]')}[/]" for w in run.warnings)
        table.add_row(
            escape(run.path),
            escape(run.task),
            escape(run.status) + marks,
            escape(run.problem or best or "-"),
            duration(run.age_seconds) if run.age_seconds is not None else "-",
        )
    console.print(table)


def _folders(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        if FILE_NAME in names:
            subfolders.clear()
            yield Path(folder)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))


def _listing(folder: Path, now: datetime) -> RunListing:
    try:
        store = Store.open(folder, readonly=True)
        try:
            run, counts = store.run(), store.counts()
            champion = confirmed_row(store, store.champion())
            best = _best(run, champion)
        finally:
            store.close()
    except (BreederError, OSError, ValueError) as error:
        return RunListing(str(folder), problem=str(error).removeprefix(f"{folder}: "))
    return RunListing(
        path=str(folder),
        task=run.task_name,
        status=run.status,
        evaluations=counts["evaluations"],
        best=best,
        warnings=verdict.badges(run, champion),
        started_at=run.started_at,
        age_seconds=(now - datetime.fromisoformat(run.started_at)).total_seconds(),
    )


def _best(run: RunRecord, champion: EvaluationRecord | None) -> dict[str, float]:
    if champion is None:
        return {}
    metrics = champion.evaluation.metrics
    names = [o.name for o in objectives_of(json.loads(run.task_json))]
    return {name: metrics[name] for name in names if name in metrics}
