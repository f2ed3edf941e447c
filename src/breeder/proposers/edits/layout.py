"""Layout: indentation and lines, so that edits look like the code around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from breeder.proposers.trees import Node, Source

Line = tuple[int, bytes]
"""A line of code and how deep it stands."""


def indent_of(source: Source, node: Node) -> bytes | None:
    """The white space before a node; None when it is not first on its line."""
    line = source.text.rfind(b"\n", 0, node.begin) + 1
    before = source.text[line : node.begin]
    return before if not before.strip() else None


def whole_lines(source: Source, node: Node) -> tuple[int, int]:
    """The span of whole lines of a node that shares them with nothing; else its own span."""
    indent = indent_of(source, node)
    end = source.text.find(b"\n", node.end)
    rest = source.text[node.end : end] if end >= 0 else b"x"
    if indent is None or rest.strip():
        return node.begin, node.end
    return node.begin - len(indent), end + 1


def step_of(source: Source) -> bytes:
    """One level of indentation as the file writes it."""
    for line in source.text.splitlines():
        blank = line[: len(line) - len(line.lstrip())]
        if blank:
            return b"\t" if blank.startswith(b"\t") else blank[:4]
    return b"    "


def guarded(source: Source, statement: Node, guard: bytes, line: bytes) -> bytes:
    """A statement under a condition, laid out for the place of `statement`."""
    indent = indent_of(source, statement) or b""
    step = step_of(source)
    body = line.replace(source.newline, source.newline + step)
    if source.table.family == "python":
        return b"if %s:%s%s%s%s" % (guard, source.newline, indent, step, body)
    n = source.newline
    return b"if (%s) {%s%s%s%s%s%s}" % (guard, n, indent, step, body, n, indent)


def reindented(text: bytes, old: bytes, new: bytes, source: Source) -> bytes:
    """Move lines after the first from indentation `old` to `new`, with the file's line ends."""
    first, *rest = text.replace(b"\r\n", b"\n").split(b"\n")
    moved = [
        new + line[len(old) :] if line.startswith(old) and line.strip() else line for line in rest
    ]
    return source.newline.join([first, *moved])


def laid_out(source: Source, node: Node, lines: Sequence[Line]) -> bytes:
    """A block in braces, of lines and how deep they stand, in the place of a node.

    Pragmas begin their line.
    """
    indent, step, newline = indent_of(source, node) or b"", step_of(source), source.newline
    parts = [b"{"]
    for depth, text in lines:
        within = indent + step * depth
        old = re.findall(rb"\n([ \t]*)\S", text)
        moved = reindented(text, min(old, key=len), within, source) if old else text
        parts.append(moved if moved[:1] == b"#" else within + moved)
    return newline.join([*parts, indent + b"}"])
