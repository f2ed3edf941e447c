"""Start against champion as a person would want to read it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from breeder.archive.confirmed import confirmed_row
from breeder.archive.store import EvaluationRecord, Store
from breeder.errors import RunError
from breeder.report import verdict
from breeder.report.comparison import FileDiff, Hunk, compare_files, describe_changes
from breeder.report.constants import Constant
from breeder.report.run_data import objectives_of
from breeder.report.terminal import printable

_STYLES = {"+": "green", "-": "red", " ": ""}


@dataclass(frozen=True, slots=True)
class ProgramDiff:
    """Two programs compared.

    Attributes:
        before: id of the first program.
        after: id of the second.
        fitness_before: None when it failed.
        fitness_after: None when it failed.
        summary: what changed and what it brought, one line.
        files: the files that differ.
    """

    before: str
    after: str
    fitness_before: float | None
    fitness_after: float | None
    summary: str
    files: tuple[FileDiff, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready data."""
        return asdict(self)


def compare_programs(store: Store, *, a: str | None = None, b: str | None = None) -> ProgramDiff:
    """Compare two programs of a run; by default its start and its champion.

    Args:
        store: the run to read.
        a: id of the first program, or the beginning of one.
        b: id of the second program, or the beginning of one.

    Raises:
        RunError: no such program, an ambiguous id, or nothing succeeded so far.
    """
    before = store.program(_resolve(store, a) if a else _start(store))
    after = store.program(_resolve(store, b) if b else _champion(store))
    old, new = (_best(store, program.id) for program in (before, after))
    files = compare_files(before, after)
    parts = [describe_changes(files), *_changes(store, old, new)]
    return ProgramDiff(
        before=before.id,
        after=after.id,
        fitness_before=old.fitness if old else None,
        fitness_after=new.fitness if new else None,
        summary="; ".join(parts),
        files=files,
    )


def render_diff(
    store: Store, console: Console, *, a: str | None = None, b: str | None = None
) -> None:
    """Print `compare_programs` with colours. Raises RunError as that does."""
    diff = compare_programs(store, a=a, b=b)
    marks = verdict.badges(store.run(), store.champion())
    badge = "".join(f" [reverse red] {mark} [/]" for mark in marks)
    console.print(f"[bold]{escape(diff.before)} -> {escape(diff.after)}[/]{badge}")
    console.print(escape(diff.summary), style="bold")
    for file in diff.files:
        console.print()
        console.print(Text(file.path, style="bold underline"))
        if file.constants:
            console.print(_constants_table(file.constants))
        else:
            for hunk in file.hunks:
                _print_hunk(console, hunk)


def _start(store: Store) -> str:
    row = store.start()
    if row is None:
        raise RunError("nothing to compare: the start has not been evaluated")
    return row.program_id


def _champion(store: Store) -> str:
    row = store.champion()
    if row is None and store.confirmed() is not None:
        raise RunError(f"nothing to compare: {verdict.NO_CHALLENGER}")
    if row is None:
        raise RunError("nothing to compare: no evaluation succeeded")
    return row.program_id


def _resolve(store: Store, prefix: str) -> str:
    try:
        return store.program(prefix).id
    except KeyError:
        found = {r.program_id for r in store.evaluations() if r.program_id.startswith(prefix)}
    if not found:
        raise RunError(f"no program {prefix!r} in this run")
    if len(found) > 1:
        raise RunError(f"{len(found)} programs begin with {prefix!r}; write more of the id")
    return found.pop()


def _best(store: Store, program_id: str) -> EvaluationRecord | None:
    """Return the best search evaluation of a program, from the indexed rows where possible."""
    for row in (store.champion(), store.start()):
        if row is not None and row.program_id == program_id:
            return confirmed_row(store, row)
    rows = (r for r in store.evaluations() if r.program_id == program_id)
    return max(rows, key=lambda r: -math.inf if r.fitness is None else r.fitness, default=None)


def _changes(store: Store, old: EvaluationRecord | None, new: EvaluationRecord | None) -> list[str]:
    if old is None or new is None:
        return ["not both evaluated"]
    failures = [str(row.evaluation.failure) for row in (old, new) if row.evaluation.failure]
    if failures:
        return [f"failed: {failure}" for failure in failures]
    objectives = objectives_of(json.loads(store.run().task_json))
    before, after = old.evaluation.metrics, new.evaluation.metrics
    words = [
        verdict.change(o, before[o.name], after[o.name])
        for o in objectives
        if o.name in before and o.name in after
    ]
    if len(words) > 1 and old.fitness is not None and new.fitness is not None:
        words.append(f"fitness {verdict.number(old.fitness)} -> {verdict.number(new.fitness)}")
    return words


def _constants_table(constants: Sequence[Constant]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("line", justify="right")
    table.add_column("constant", overflow="fold")
    table.add_column("before", justify="right", style="red")
    table.add_column("after", justify="right", style="green")
    for c in constants:
        table.add_row(str(c.line), Text(printable(c.name)), Text(c.before), Text(c.after))
    return table


def _print_hunk(console: Console, hunk: Hunk) -> None:
    scope = f" {printable(hunk.scope)}" if hunk.scope else ""
    console.print(Text(f"@@ line {hunk.after} @@{scope}", style="cyan"))
    for line in hunk.lines:
        code = printable(line.text.expandtabs())
        console.print(Text(f"{line.kind} {code}", style=_STYLES[line.kind]), soft_wrap=True)


def diff_json(store: Store, *, a: str | None = None, b: str | None = None) -> dict[str, Any]:
    """Return `compare_programs` as JSON-ready data. Raises RunError as that does."""
    return compare_programs(store, a=a, b=b).to_json()
