"""The champion's lineage on the page: each step from the start with its diff, folded."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from breeder.core import Program
from breeder.report.comparison import compare_files, describe_changes
from breeder.report.markup import Markup, badge, files, paragraph
from breeder.report.run_data import RunData
from breeder.report.score_figures import score, score_name
from breeder.report.verdict import number

LONG = 30
"""Steps from which on the list scrolls on its own."""

DIFF_BUDGET = 1_000_000
"""Characters of diffs on one page. A lineage of hundreds of steps keeps its newest diffs."""


def lineage(data: RunData) -> Markup:
    """Return the steps from the start to the champion, the newest first."""
    if len(data.lineage) < 2:
        return Markup("")
    left = DIFF_BUDGET
    steps = []
    pairs = list(enumerate(pairwise(data.lineage), start=1))
    for number_of_step, (parent, child) in reversed(pairs):
        changes = compare_files(parent, child)
        body = files(changes)
        left -= len(body)
        if left < 0:
            body = paragraph("left out to keep this page small", "note")
        steps.append(_step(data, number_of_step, parent, child, describe_changes(changes), body))
    intro = paragraph(
        f"{len(pairs)} steps along main parents, newest first; open one to see its diff."
    )
    button = (
        "<p><button type=button data-fold=open>open all</button> "
        "<button type=button data-fold=close>close all</button></p>"
    )
    style = "long" if len(steps) > LONG else ""
    steps_list = f"<ol class=lineage reversed>{''.join(steps)}</ol>"
    return Markup(f'{intro}{button}<div class="{style}">{steps_list}</div>')


def _step(
    data: RunData, index: int, parent: Program, child: Program, changes: str, body: str
) -> str:
    before, after = data.fitness_of.get(parent.id), data.fitness_of.get(child.id)
    values = "not evaluated"
    mark = badge("neutral")
    if after is not None:
        values = f"{score_name(data)} {number(score(data, after))}"
    if before is not None and after is not None and after != before:
        mark = badge("better", "good") if after > before else badge("worse", "warn")
    note = f" — {escape(child.note)}" if child.note else ""
    return (
        f"<li value={index}><details><summary><b>{escape(values)}</b> {mark} "
        f"<span class=who>{escape(child.proposer)}</span>{note} "
        f"<small>{escape(changes)} · {escape(child.id[:12])}</small></summary>{body}</details></li>"
    )
