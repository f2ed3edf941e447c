"""Excerpts of programs for prompts: evolvable regions, short functions, values in scope."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from breeder.proposers.llm.fences import fenced
from breeder.proposers.proposer import Grammar
from breeder.proposers.scope import scope
from breeder.proposers.trees import Node, Source, decode, function_name, sources
from breeder.regions import MarkerError, extract

_MOST_VALUES = 24
_MOST_EXPRESSIONS = 4
_LONGEST_EXPRESSION = 24


@dataclass(frozen=True, slots=True)
class FunctionView:
    """A function that lies, wholly or in part, in an evolvable region.

    Attributes:
        name: its name; `path`: the file; `language`: of the file.
        signature: its head up to the body, on its own indentation, as an answer may begin.
        text: the whole function, dedented.
        short: the same without docstring, comments and blank lines.
        values: names and attributes that hold numbers (or arrays of them) in its scope.
        lines: number of lines of `short`.
    """

    name: str
    path: str
    language: str
    signature: str
    text: str
    short: str
    values: tuple[str, ...]
    lines: int


def functions(files: Mapping[str, str], grammar: Grammar) -> tuple[FunctionView, ...]:
    """The outermost functions of the evolvable regions, in order; none where no grammar helps."""
    found = []
    for path, source in sources(files, grammar).items():
        found += [_view(path, source, node) for node in _outermost(source, source.root)]
    return tuple(view for view in found if view.name)


def evolvable_text(files: Mapping[str, str], grammar: Grammar) -> str:
    """The evolvable regions, fenced; with the names of files and numbers of blocks if several.

    A file whose markers are damaged is shown whole.
    """
    blocks = []
    for path, text in files.items():
        try:
            regions = extract(text, grammar.regions(text))
        except MarkerError:
            regions = (text,)
        for number, region in enumerate(regions, start=1):
            title = path if len(regions) == 1 else f"{path}, block {number}"
            blocks.append((title, fenced(region.rstrip() + "\n", grammar.languages.get(path, ""))))
    if len(blocks) == 1:
        return blocks[0][1]
    return "".join(f"{title}:\n{block}" for title, block in blocks)


def whole_text(files: Mapping[str, str], languages: Mapping[str, str]) -> str:
    """Whole files, fenced, each under its name."""
    return "".join(f"{p}:\n{fenced(t, languages.get(p, ''))}" for p, t in files.items())


def _outermost(source: Source, node: Node) -> Iterator[Node]:
    if node.type in source.table.functions:
        if any(b < node.end and node.begin < e for b, e in source.regions):
            yield node
        return
    for child in node.children:
        yield from _outermost(source, child)


@lru_cache(maxsize=256)
def _view(path: str, source: Source, node: Node) -> FunctionView:
    body = node.child("body")
    end = body.begin if body is not None else node.end
    text = _dedented(source, node, source.of(node))
    short = _dedented(source, node, _stripped(source, node))
    return FunctionView(
        name=decode(function_name(source, node)),
        path=path,
        language=source.table.name,
        signature=_signature(source, node, end),
        text=text,
        short=short,
        values=_values(source, node),
        lines=short.count("\n") + 1,
    )


def _dedented(source: Source, node: Node, text: bytes) -> str:
    """The text on column 0, unless something else stands before the node on its line."""
    line = source.text.rfind(b"\n", 0, node.begin) + 1
    indentation = decode(source.text[line : node.begin])
    if indentation.strip():
        return decode(text).strip("\n")
    return textwrap.dedent(indentation + decode(text)).strip("\n")


def _signature(source: Source, node: Node, end: int) -> str:
    # A comment between head and body belongs to neither.
    cut = next((c.begin for c in node.children if c.type in source.table.comments), end)
    head = source.text[node.begin : min(cut, end)].rstrip()
    if source.table.family == "c":
        head += b"\n{"
    return _dedented(source, node, head)


def _stripped(source: Source, function: Node) -> bytes:
    """The function without docstring, comments and (unless a string holds some) blank lines."""
    doc = _docstring(source, function)
    cuts = [n for n in function.walk() if n is doc or n.type in source.table.comments]
    text, position = b"", function.begin
    for node in cuts:
        text += source.text[position : node.begin]
        position = node.end
    text += source.text[position : function.end]
    strings = (n for n in function.walk() if "string" in n.type and n is not doc)
    if any(b"\n" in source.of(n) for n in strings if not _within(n, doc)):
        return text
    return b"\n".join(line.rstrip() for line in text.split(b"\n") if line.strip())


def _within(node: Node, outer: Node | None) -> bool:
    return outer is not None and outer.contains(node)


def _docstring(source: Source, function: Node) -> Node | None:
    body = function.child("body")
    statements = [c for c in body.named_children() if c.type != "comment"] if body else []
    if source.table.family != "python" or len(statements) < 2:
        return None
    first = statements[0]
    inner = first.named_children()
    is_text = first.type == "expression_statement" and len(inner) == 1
    return first if is_text and inner[0].type in {"string", "concatenated_string"} else None


def _values(source: Source, function: Node) -> tuple[str, ...]:
    """What holds a number at the end of a function: attributes, names, short differences of them.

    Parameters come before other names. Names that the function does not read (constants of others)
    are given only where there is next to nothing else.
    """
    body = function.child("body")
    last = body.named_children()[-1:] if body is not None else []
    if not last:
        return ()
    known = scope(source)
    visible = known.visible(last[0])
    found: dict[bytes, None] = {}
    for node in function.walk():
        if node.type in {"attribute", "field_expression"} and _is_value(source, node):
            binding = visible.get(source.of(node.children[0]))
            if binding is not None and binding.kind == "value":
                found[source.of(node)] = None
    read = {source.of(n) for n in function.walk() if n.type == "identifier"}
    numbers = known.numbers(last[0])
    parameters = set(_parameters(source, function))
    found |= dict.fromkeys(name for name in numbers if name in parameters)
    found |= dict.fromkeys(name for name in numbers if name in read)
    found |= dict.fromkeys(_expressions(source, function, found))
    if len(found) < 2:
        found |= dict.fromkeys(numbers)
    return tuple(decode(name) for name in found)[:_MOST_VALUES]


def _expressions(source: Source, function: Node, values: Mapping[bytes, None]) -> list[bytes]:
    """Short sums, products and the like of two values that the function computes."""
    found = []
    for node in function.walk():
        left, right = node.child("left"), node.child("right")
        if node.type in {"binary_operator", "binary_expression"} and left and right:
            plain = source.of(left) in values and source.of(right) in values
            if plain and len(source.of(node)) <= _LONGEST_EXPRESSION:
                found.append(source.of(node))
    return list(dict.fromkeys(found))[:_MOST_EXPRESSIONS]


def _is_value(source: Source, node: Node) -> bool:
    parent = node.parent
    if parent is None or (parent.type, node.field) in {
        ("call", "function"),
        ("call_expression", "function"),
        ("attribute", "object"),
        ("field_expression", "argument"),
    }:
        return False
    return b"\n" not in source.of(node)


def _parameters(source: Source, function: Node) -> Iterator[bytes]:
    for node in function.walk():
        if node.type in {"parameters", "parameter_list"}:
            yield from (source.of(n) for n in node.walk() if n.type == "identifier")
            return
