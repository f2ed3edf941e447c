"""A run's summary in the terminal, within 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from breeder.core import Cost
from breeder.proposers.llm.record import TeamRecord
from breeder.report import models
from breeder.report.race import race_in_words
from breeder.report.records import ProgramSummary, RunSummary
from breeder.report.verdict import BASELINE_KINDS, number


def render(summary: RunSummary, console: Console) -> None:
    """Print a summary: outcome first, then metrics, failures, proposers and cost."""
    _headline(summary, console)
    console.print(_metrics(summary))
    if summary.failures:
        console.print(_counts("failures", summary.failures))
    if summary.proposers:
        console.print(_proposers(summary))
    if summary.models is not None:
        console.print(_models(summary.models))
    console.print(_costs(summary.cost))


def duration(seconds: float) -> str:
    """Write a time span for people: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def printable(text: str) -> str:
    """Replace control characters: text of candidates must not steer the reader's terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def limits(budget: Mapping[str, float]) -> str:
    """Write a budget in words, e.g. `10 minutes, 5000 evaluations`."""
    return ", ".join(f"{number(v)} {k.replace('_', ' ')}" for k, v in budget.items())


def _headline(summary: RunSummary, console: Console) -> None:
    marks = "".join(f" [reverse red] {escape(w)} [/]" for w in summary.warnings)
    console.print(f"[bold]{escape(summary.task)}[/] · {escape(summary.status)}{marks}")
    if summary.detail:
        console.print(f"[dim]{escape(summary.detail)}[/]")
    if summary.status == "running":
        console.print("[dim]not finished: still at work, or killed (`breeder resume` goes on)[/]")
    console.print(f"[bold]{escape(summary.improvement)}[/]")
    race = race_in_words(summary.race) if summary.race else ""
    for words in (race, summary.held_out_verdict, summary.baseline_verdict):
        if words:
            console.print(f"  {escape(words)}")
    budget = f"; budget: {limits(summary.budget)}" if summary.budget else ""
    console.print(
        f"[dim]{summary.evaluations} evaluations, {summary.succeeded} admissible, "
        f"{duration(summary.elapsed)}{escape(budget)}[/]"
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(
            column,
            justify="left" if index == 0 else "right",
            overflow="fold",
            header_style="dim",
        )
    return table


def _metrics(summary: RunSummary) -> Table:
    goal = {o["name"]: "↑" if o["direction"] == "maximize" else "↓" for o in summary.objectives}
    columns: list[tuple[str, Mapping[str, float]]] = []
    for name, program in (("start", summary.start), ("champion", summary.champion)):
        columns += _splits(name, program)
    table = _table("metrics", "", *(name for name, _ in columns))
    names = list(dict.fromkeys([*goal, *(m for _, metrics in columns for m in metrics)]))
    for name in names:
        label = f"{name} {goal[name]}" if name in goal else name
        style = "bold" if name in goal else ""
        cells = (number(metrics[name]) if name in metrics else "-" for _, metrics in columns)
        table.add_row(escape(label), *cells, style=style)
    for row in summary.baselines:
        values = ", ".join(f"{m} {number(row.metrics[m])}" for m in goal if m in row.metrics)
        where = "held-out" if row.split == "held_out" else row.split
        note = "  <- reaches the champion" if row.reaches_champion else ""
        kind = BASELINE_KINDS.get(row.kind, row.kind)
        table.caption = "\n".join(
            [str(table.caption or ""), f"baseline {row.name} ({kind}), {where}: {values}{note}"]
        ).strip()
    table.caption_justify = "left"
    return table


def _splits(name: str, program: ProgramSummary | None) -> Iterable[tuple[str, Mapping[str, float]]]:
    if program is None:
        return
    yield name, program.metrics
    if program.held_out is not None:
        yield f"{name}, held-out", program.held_out


def _counts(title: str, counts: Mapping[str, int]) -> Table:
    table = _table(title, "kind", "count")
    for kind, count in counts.items():
        table.add_row(escape(kind), str(count))
    return table


def _proposers(summary: RunSummary) -> Table:
    table = _table("proposers", "name", "evaluations", "share", "ok", "improved", "gain", "CPU s")
    for row in summary.proposers:
        table.add_row(
            escape(row.name),
            str(row.evaluations),
            f"{100 * row.share:.0f} %",
            str(row.succeeded),
            str(row.improvements),
            number(row.gain),
            f"{row.cpu_seconds:.1f}",
        )
    return table


def _models(team: TeamRecord) -> Table:
    table = _table("models", *models.HEAD)
    for model in team.models:
        table.add_row(*(escape(cell) for cell in models.row(model)))
    table.caption = "\n".join(escape(words) for words in models.in_words(team))
    table.caption_justify = "left"
    return table


def _costs(costs: Mapping[str, Cost]) -> Table:
    table = _table("cost", "phase", "CPU s", "wall s", "tokens", "currency")
    for phase, cost in costs.items():
        table.add_row(
            escape(phase.replace("_", "-")),
            f"{cost.cpu_seconds:.1f}",
            f"{cost.wall_seconds:.1f}",
            str(cost.tokens) if cost.tokens else "-",
            f"{cost.currency:.4g}" if cost.currency else "-",
        )
    return table
