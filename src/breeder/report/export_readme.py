"""The README of an exported champion, in words."""

from __future__ import annotations

from collections.abc import Sequence

from breeder.report.records import ProgramSummary, RunSummary
from breeder.report.verdict import BASELINE_KINDS, number


def readme(summary: RunSummary, problems: Sequence[str], *, with_task: bool) -> str:
    """Return README.md for a run with a champion.

    Args:
        summary: the figures of the run.
        problems: what could not be exported faithfully, one line each.
        with_task: whether the evaluator was copied, so that the figure can be repeated.
    """
    champion = summary.champion
    assert champion is not None, "only a run with a champion is exported"
    parts = [f"# The champion of `{summary.task}`\n", f"{summary.improvement}.\n"]
    parts += [f"Held-out data: {summary.held_out_verdict}.\n"] if summary.held_out_verdict else []
    parts += [f"Baselines: {summary.baseline_verdict}.\n"] if summary.baseline_verdict else []
    parts += [f"**{warning}**\n" for warning in _warnings(summary)]
    parts += [f"**Mind: {problem}.**\n" for problem in problems]
    parts += [_table(summary, champion), _contents(champion), _repeat(with_task=with_task)]
    parts.append(
        f"Found in {summary.evaluations} evaluations by breeder {summary.breeder_version}, started "
        f"{summary.started_at}; program {champion.id}, {champion.generation} steps from the start, "
        f"last changed by `{champion.proposer}`.\n"
    )
    return "\n".join(parts)


def _warnings(summary: RunSummary) -> list[str]:
    meanings = {
        "sandbox: none": "sandbox: none. Candidates ran without isolation.",
        "self-reported": "self-reported. Scores were computed in the candidate's own process.",
    }
    return [meanings[warning] for warning in summary.warnings]


def _table(summary: RunSummary, champion: ProgramSummary) -> str:
    names = [o["name"] for o in summary.objectives]
    lines = [
        "| | data | " + " | ".join(f"{o['name']} ({o['direction']})" for o in summary.objectives)
        + " |",
        "|---|---|" + "---:|" * len(names),
    ]  # fmt: skip
    programs = [("start", summary.start), ("**champion**", champion)]
    rows = [
        (name, data, metrics)
        for name, program in programs
        if program is not None
        for data, metrics in (("search", program.metrics), ("held-out", program.held_out))
        if metrics is not None
    ]
    rows += [
        (
            f"{row.name}, {BASELINE_KINDS.get(row.kind, row.kind)}",
            "held-out" if row.split == "held_out" else row.split,
            row.metrics,
        )
        for row in summary.baselines
    ]
    for name, data, metrics in rows:
        values = " | ".join(number(metrics[n]) if n in metrics else "-" for n in names)
        lines.append(f"| {name} | {data} | {values} |")
    return "\n".join(lines) + "\n"


def _contents(champion: ProgramSummary) -> str:
    names = ", ".join(f"`{name}`" for name in champion.files)
    return (
        f"Program: {names}. `evaluation.json` holds every metric with seeds, cost, hashes and the "
        "machine; `construction.*`, if there, the artefact that earned them.\n"
    )


def _repeat(*, with_task: bool) -> str:
    if not with_task:
        return "The evaluator is not included, so the figure cannot be repeated from here.\n"
    return (
        "Repeat the figure, with breeder installed:\n\n    python reproduce.py\n\n"
        "It evaluates the program in the sandbox with the stored seed. Where the task carries a "
        "construction, the program is given its own one, where the run gave it the best of the "
        "time. Timings differ from machine to machine: see `--tolerance`.\n"
    )
