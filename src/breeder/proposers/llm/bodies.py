"""Bodies of functions, and moving lines to another indentation."""

from __future__ import annotations

from collections.abc import Sequence

from breeder.proposers.edits.layout import indent_of
from breeder.proposers.llm.matching import without_comment
from breeder.proposers.llm.units import signature
from breeder.proposers.llm.verdicts import Reason, RefusalError
from breeder.proposers.trees import Node, Source, decode, encode


def moved(lines: Sequence[bytes], indent: bytes) -> list[bytes]:
    """The lines with their common indentation replaced by `indent`; blank ones emptied."""
    filled = [line for line in lines if line.strip()]
    common = min((line[: len(line) - len(line.lstrip())] for line in filled), key=len, default=b"")
    return [
        indent + (line[len(common) :] if line.startswith(common) else line.lstrip())
        if line.strip()
        else b""
        for line in lines
    ]


def indentation(source: Source, body: Node) -> bytes:
    """The indentation of the first statement of a block."""
    first = next((c for c in body.named_children()), body)
    own = indent_of(source, first)
    if own is not None:
        return own
    line = source.text[source.text.rfind(b"\n", 0, body.begin) + 1 : body.begin]
    return line[: len(line) - len(line.lstrip())] + b"    "


def body_lines(source: Source, function: Node) -> list[bytes]:
    """The lines within a function's body, its docstring and braces left out."""
    body = function.child("body")
    if body is None:
        return []
    if source.table.family == "python":
        statements = [c for c in body.children if c.named]
        if statements and _is_docstring(statements[0]):
            statements = statements[1:]
        if not statements:
            return [b"pass"]
        # A comment before the first statement stands before the block node.
        begin = statements[0].begin
        text = (indent_of(source, statements[0]) or b"") + source.text[begin : function.end]
        return text.rstrip().split(b"\n")
    inside = source.text[body.begin + 1 : body.end - 1]
    lines = inside.split(b"\n")
    if lines and not lines[0].strip():
        lines = lines[1:]
    return lines[:-1] if lines and not lines[-1].strip() else lines


def _is_docstring(statement: Node) -> bool:
    return (
        statement.type == "expression_statement"
        and bool(statement.children)
        and statement.children[0].type in ("string", "concatenated_string")
    )


def region_body(
    source: Source,
    region: tuple[int, int],
    enclosing: Node,
    answer: Source,
    function: Node,
    before: Sequence[bytes] = (),
) -> bytes:
    """New text of a region within a function, from an answer that wrote the whole function.

    Frozen lines of the function that the answer repeats before and after are left out.

    Raises:
        RefusalError: the answer's parameters are not those of the frozen function.
    """
    mine, theirs = signature(source, enclosing), signature(answer, function)
    if mine.names != theirs.names:
        raise RefusalError(
            Reason.ENTRY, f"the parameters are frozen; keep them as they are: ({mine})"
        )
    body = enclosing.child("body")
    assert body is not None
    lines = body_lines(answer, function)
    first = body.begin if source.table.family == "python" else body.begin + 1
    last = enclosing.end if source.table.family == "python" else body.end - 1
    lines = _without(lines, source.text[first : region[0]], from_end=False)
    lines = _without(lines, source.text[region[1] : last], from_end=True)
    return region_text(source, region, [*before, *moved(lines, b"")])


def region_text(source: Source, region: tuple[int, int], lines: Sequence[bytes]) -> bytes:
    """Lines as the text of a region, indented like what stands there."""
    old = source.text[region[0] : region[1]].split(b"\n")
    filled = [line for line in old if line.strip()]
    if not filled:  # the marker's own line tells
        filled = [source.text[: region[0]].rstrip(b"\n").rpartition(b"\n")[2]]
    lead = filled[0][: len(filled[0]) - len(filled[0].lstrip())]
    while lines and not lines[0].strip():
        lines = lines[1:]
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return b"\n".join(moved(lines, lead)) + b"\n"


def _without(lines: list[bytes], frozen: bytes, *, from_end: bool) -> list[bytes]:
    """Leave out the frozen lines with which a body begins or ends; comments do not count."""
    step = -1 if from_end else 1
    wanted = [key for key in map(_key, frozen.split(b"\n")[::step]) if key]
    rest = lines[::step]
    for key in wanted:
        i = next((i for i, line in enumerate(rest) if _key(line)), None)
        if i is None or _key(rest[i]) != key:
            break
        rest = rest[i + 1 :]
    return rest[::step]


def _key(line: bytes) -> bytes:
    return encode("".join(without_comment(decode(line)).split()))
