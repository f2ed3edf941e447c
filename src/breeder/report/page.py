"""The report of a run: one self-contained HTML page and PNG files, from the store alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import NamedTuple

from breeder.archive.store import Store
from breeder.errors import RunError
from breeder.report import models, png, svg, verdict
from breeder.report.cell_figures import cell_charts
from breeder.report.charts import Chart
from breeder.report.command import command_line
from breeder.report.comparison import compare_files, describe_changes
from breeder.report.figures import cost_charts, failure_charts, front_charts, proposer_charts
from breeder.report.lineage import lineage
from breeder.report.markup import Markup, badge, files, paragraph, safe, section, table
from breeder.report.race import race_in_words
from breeder.report.records import RunSummary
from breeder.report.run_data import RunData, read_run
from breeder.report.score_figures import score_charts
from breeder.report.summary import summarise_data
from breeder.report.terminal import duration, limits
from breeder.report.verdict import BASELINE_KINDS, number

PAGE_NAME = "index.html"

_WARNINGS = {
    "sandbox: none": "sandbox: none — candidates ran without isolation; nothing kept them from "
    "tampering with their own scores.",
    "self-reported": "self-reported — the scores were computed inside the candidate's own process "
    "and not checked from outside.",
}


class Report(NamedTuple):
    """A report before it is written: the page, its charts, the warnings that stand on each."""

    html: str
    charts: tuple[Chart, ...]
    warnings: tuple[str, ...]


def write_report(run_dir: Path, out: Path | None = None) -> Path:
    """Write the report of a run that is finished, at work or was killed.

    Args:
        run_dir: the run's directory.
        out: folder for the page and the PNG files; `run_dir/report` by default.

    Returns:
        The path of the page.

    Raises:
        RunError: no run there, a store from a newer version, or `out` cannot be written.
        StoreError: the store is damaged.
    """
    folder = out or run_dir / "report"
    store = Store.open(run_dir, readonly=True)
    try:
        report = build_report(store)
    finally:
        store.close()
    page = folder / PAGE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chart in report.charts:
            png.write(chart, folder, report.warnings)
        page.write_text(report.html, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return page


def build_report(store: Store) -> Report:
    """Work out the page and the charts of a run. Raises StoreError when the store is damaged."""
    data = read_run(store)
    summary = summarise_data(store, data)
    charts: dict[str, Sequence[Chart]] = {
        "score": score_charts(data),
        "front": front_charts(data),
        "cells": cell_charts(store, data),
        "failures": failure_charts(summary),
        "proposers": proposer_charts(data),
        "cost": cost_charts(summary),
    }
    drawn = tuple(chart for group in charts.values() for chart in group)
    return Report(_page(data, summary, charts), drawn, summary.warnings)


def _page(data: RunData, summary: RunSummary, charts: dict[str, Sequence[Chart]]) -> str:
    sections = [part for part in _sections(data, summary, charts) if part]
    own = resources("breeder.report")
    style = own.joinpath("page.css").read_text(encoding="utf-8")
    script = own.joinpath("page.js").read_text(encoding="utf-8")
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{safe(summary.task)} — breeder</title><style>{style}</style></head><body><main>"
        f"{_header(data, summary)}{''.join(sections)}"
        f"</main><script>{script}</script></body></html>\n"
    )


def _header(data: RunData, summary: RunSummary) -> str:
    status = badge(summary.status, "good" if summary.status == "finished" else "")
    alerts = "".join(f"<div class=alert>{safe(_WARNINGS[w])}</div>" for w in summary.warnings)
    marks = "".join(f" {badge(w, 'warn')}" for w in summary.warnings)
    goal = str(data.task.get("task", {}).get("goal", "")).strip()
    return (
        f"<header><h1>{safe(summary.task)} {status}{marks}</h1>"
        f"{paragraph(goal, 'goal')}</header>{alerts}{_outcome(data, summary)}"
    )


def _outcome(data: RunData, summary: RunSummary) -> str:
    style = "headline good" if verdict.improved(data) else "headline"
    lines = [paragraph(summary.improvement, style)]
    if summary.race is not None:
        lines.append(paragraph(f"Race: {race_in_words(summary.race)}."))
    if summary.held_out_verdict:
        bad = not summary.held_out_verdict.startswith("holds up")
        held = f"Held-out data: {summary.held_out_verdict}."
        lines.append(paragraph(held, "warn" if bad else ""))
    if summary.baseline_verdict:
        reached = bool(verdict.matching_baselines(data))
        lines.append(
            paragraph(f"Baselines: {summary.baseline_verdict}.", "warn" if reached else "")
        )
    if summary.status == "running":
        lines.append(paragraph("Not finished: still at work, or killed before it ended.", "note"))
    if summary.detail:
        lines.append(paragraph(f"Ended: {summary.detail}", "note"))
    tiles = [
        (f"{summary.evaluations:,}", "evaluations"),
        (f"{summary.succeeded:,}", "admissible"),
        (duration(summary.elapsed), "run time"),
        (f"{sum(c.cpu_seconds for c in summary.cost.values()):,.1f} s", "CPU time in all"),
        (str(max(len(data.lineage) - 1, 0)), "steps from the start"),
        (summary.champion.id[:10] if summary.champion else "none", "champion"),
    ]
    boxes = "".join(f"<div><b>{safe(v)}</b><span>{safe(k)}</span></div>" for v, k in tiles)
    return f"<div class=outcome>{''.join(lines)}<div class=tiles>{boxes}</div></div>"


def _sections(
    data: RunData, summary: RunSummary, charts: dict[str, Sequence[Chart]]
) -> Iterator[Markup]:
    drawn = {key: "".join(svg.draw(chart) for chart in group) for key, group in charts.items()}
    yield section("result", "Start and champion", _metrics(summary), _baselines(summary))
    yield section("score", "Score", drawn["score"])
    yield section("front", "Objectives against each other", drawn["front"])
    yield section("change", "What changed", _change(data))
    yield section("lineage", "How it came about", lineage(data))
    yield section("cells", "Cells and islands", _maps(charts["cells"]))
    yield section("failures", "Failures", drawn["failures"])
    yield section("proposers", "Proposers", drawn["proposers"], _proposers(summary))
    yield section("models", "Language models", _models(summary))
    yield section("cost", "Cost by phase", drawn["cost"], _costs(summary))
    yield section("program", "The champion's program", _program(summary))
    yield section("run", "The run", _run(summary))


def _maps(charts: Sequence[Chart]) -> str:
    if not charts:
        return ""
    rest = "".join(svg.draw(chart, small=True) for chart in charts[1:])
    return svg.draw(charts[0]) + (f"<div class=maps>{rest}</div>" if rest else "")


def _metrics(summary: RunSummary) -> str:
    if summary.start is None:
        return paragraph("The start has not been evaluated yet.")
    programs = [("start", summary.start)]
    if summary.champion is not None:
        programs.append(("champion", summary.champion))
    goals = {o["name"]: f" ({o['direction']})" for o in summary.objectives}
    head, columns = ["metric"], []
    for name, program in programs:
        head.append(name)
        columns.append(program.metrics)
        if program.held_out is not None:
            head.append(f"{name}, held-out")
            columns.append(program.held_out)
    names = dict.fromkeys([*goals, *(key for column in columns for key in column)])
    rows = [
        (
            Markup(f"<b>{safe(n)}</b>{safe(goals[n])}") if n in goals else n,
            *(number(column[n]) if n in column else "-" for column in columns),
        )
        for n in names
    ]
    failures = [
        paragraph(f"{name}: {text}", "warn")
        for name, program in programs
        for text in (program.failure, program.held_out_failure)
        if text
    ]
    return table(head, rows) + "".join(failures)


def _baselines(summary: RunSummary) -> str:
    if not summary.baselines:
        return ""
    names = [o["name"] for o in summary.objectives]
    rows = []
    for row in summary.baselines:
        reached = badge("reaches the champion", "warn") if row.reaches_champion else ""
        rows.append(
            (
                row.name,
                BASELINE_KINDS.get(row.kind, row.kind),
                "held-out" if row.split == "held_out" else row.split,
                Markup(reached),
                *(number(row.metrics[n]) if n in row.metrics else "-" for n in names),
                f"{row.cpu_seconds:,.1f}" if row.cpu_seconds else "-",
                row.evaluations or "-",
            )
        )
    head = ("baseline", "what it is", "data", "", *names, "CPU s", "evaluations")
    return "<h3>Baselines</h3>" + table(head, rows, numeric=4)


def _change(data: RunData) -> str:
    if len(data.lineage) < 2:
        return ""
    changes = compare_files(data.lineage[0], data.lineage[-1])
    return paragraph(f"From start to champion: {describe_changes(changes)}.") + files(changes)


def _proposers(summary: RunSummary) -> str:
    rows = [
        (
            p.name,
            p.evaluations,
            f"{100 * p.share:.1f} %",
            p.succeeded,
            p.placed,
            p.improvements,
            number(p.gain),
            f"{p.cpu_seconds:,.1f}",
            sum(p.discarded.values()),
        )
        for p in summary.proposers
    ]
    head = ("proposer", "evaluations", "share", "admissible", "placed", "new best", "gain",
            "CPU s", "discarded")  # fmt: skip
    return table(head, rows) if rows else ""


def _models(summary: RunSummary) -> str:
    if summary.models is None:
        return ""
    rows = [models.row(model) for model in summary.models.models]
    said = "".join(paragraph(f"{words}.", "note") for words in models.in_words(summary.models))
    return table(models.HEAD, rows) + said


def _costs(summary: RunSummary) -> str:
    rows = [
        (
            phase.replace("_", "-"),
            f"{c.cpu_seconds:,.2f}",
            f"{c.wall_seconds:,.1f}",
            f"{c.tokens:,}" if c.tokens else "-",
            f"{c.currency:.4g}" if c.currency else "-",
        )
        for phase, c in summary.cost.items()
    ]
    note = paragraph(
        "Search and held-out: candidate and evaluator together, whole process trees. "
        "Engine: its own process, model-free proposing included. Propose: requests to language "
        "models, with the CPU time of those that run on this machine.",
        "note",
    )
    return table(("phase", "CPU s", "wall s", "tokens", "currency"), rows) + note


def _program(summary: RunSummary) -> str:
    if summary.champion is None:
        return ""
    return "".join(
        f"<details><summary><code>{safe(path)}</code></summary>"
        f"<pre class=text>{safe(text)}</pre></details>"
        for path, text in summary.champion.files.items()
    )


def _run(summary: RunSummary) -> str:
    facts = [
        ("command", Markup(f"<code>{safe(command_line(summary))}</code>")),
        ("budget", limits(summary.budget) or "the default"),
        ("sandbox", summary.sandbox),
        ("scores", "measured outside the candidate" if summary.trusted else "self-reported"),
        ("started", summary.started_at),
        ("finished", summary.finished_at or "not finished"),
        *((key, value) for key, value in summary.machine.items()),
        ("breeder", summary.breeder_version),
    ]
    config = json.dumps(summary.config, indent=2)
    return (
        table(("", ""), facts, numeric=9)
        + "<details><summary>configuration</summary>"
        + f"<pre class=text>{safe(config)}</pre></details>"
    )
