"""Pieces of the page: tables, badges, diffs. Everything from the run is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from breeder.report.comparison import FileDiff, Hunk

_CLASSES = {"+": "add", "-": "del", " ": "ctx"}


class Markup(str):
    """HTML that is safe as it stands."""

    __slots__ = ()


def safe(value: object) -> str:
    """Return HTML for a value: markup as it is, anything else escaped."""
    return value if isinstance(value, Markup) else escape(str(value))


def badge(text: str, style: str = "") -> Markup:
    """Return a small label."""
    return Markup(f'<span class="badge {style}">{escape(text)}</span>')


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: int = 1) -> Markup:
    """Return a table; columns from index `numeric` on are set to the right."""

    def cell(tag: str, index: int, value: object) -> str:
        return f"<{tag}{' class=n' if index >= numeric else ''}>{safe(value)}</{tag}>"

    top = "".join(cell("th", i, name) for i, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(cell("td", i, value) for i, value in enumerate(row)) + "</tr>"
        for row in rows
    )
    return Markup(
        f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def section(key: str, title: str, *parts: str) -> Markup:
    """Return a section with a heading; nothing when there is nothing in it."""
    body = "".join(parts)
    return Markup(f'<section id="{key}"><h2>{escape(title)}</h2>{body}</section>' if body else "")


def paragraph(text: object, style: str = "") -> Markup:
    """Return a paragraph."""
    return Markup(f'<p class="{style}">{safe(text)}</p>')


def files(diffs: Sequence[FileDiff]) -> Markup:
    """Return the differences of two programs: a table where only constants changed."""
    parts = []
    for file in diffs:
        parts.append(f"<h4>{escape(file.path)}</h4>")
        if file.constants:
            rows = [
                (c.line, Markup(f"<code>{escape(c.name)}</code>"), c.before, c.after)
                for c in file.constants
            ]
            parts.append(table(("line", "constant", "before", "after"), rows, numeric=2))
        else:
            parts.append("".join(_hunk(hunk) for hunk in file.hunks))
    return Markup("".join(parts))


def _hunk(hunk: Hunk) -> str:
    head = escape(f"@@ line {hunk.after} @@ {hunk.scope}".rstrip())
    lines = "".join(
        f"<span class={_CLASSES[line.kind]}>{escape(line.kind + ' ' + line.text)}\n</span>"
        for line in hunk.lines
    )
    return f"<pre class=diff><span class=hunk>{head}\n</span>{lines}</pre>"
