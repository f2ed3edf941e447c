"""Layout: indentation and lines, so that edits look like the code around them."""

from __future__ import annotations

from breeder.proposers.trees import Node, Source


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
