"""Expressions of C programs written anew with other names, and how their addresses are made up."""

from __future__ import annotations

import re
from collections.abc import Mapping

from breeder.proposers.trees import Node, Source

Names = Mapping[bytes, "bytes | Node"]
"""What stands for a name: a text, or the expression that initialises it, to be rewritten too."""


def rewritten(source: Source, node: Node, names: Names) -> bytes:
    """The text of a node with its identifiers replaced; what replaces them is in parentheses."""
    parts: list[bytes] = []
    position = node.begin
    for inner in node.walk():
        if inner.type != "identifier" or source.of(inner) not in names:
            continue
        new = names[source.of(inner)]
        text = new if isinstance(new, bytes) else b"(" + rewritten(source, new, names) + b")"
        parts += [source.text[position : inner.begin], text]
        position = inner.end
    return b"".join([*parts, source.text[position : node.end]])


def mentions(source: Source, node: Node, name: bytes, local: Mapping[bytes, Node]) -> bool:
    """Whether an expression depends on a name, also by way of the locals that it reads."""
    for inner in node.walk():
        if inner.type != "identifier":
            continue
        text = source.of(inner)
        if text == name or (text in local and mentions(source, local[text], name, local)):
            return True
    return False


def accesses(node: Node) -> list[Node]:
    """The outermost elements of arrays that an expression reads."""
    if node.type == "subscript_expression":
        return [node]
    return [found for child in node.children for found in accesses(child)]


def is_contiguous(source: Source, access: Node, name: bytes, local: Mapping[bytes, Node]) -> bool:
    """Whether an element's address moves on by one element when a counter does."""
    terms = _address(source, access, local)
    moving = [term for term in terms if mentions(source, term, name, local)]
    return len(moving) == 1 and moving[0].type == "identifier" and source.of(moving[0]) == name


def fresh(source: Source, *stems: bytes) -> list[bytes]:
    """Names that the file does not use: the stems with the first number that is free for all."""
    used = set(re.findall(rb"\w+", source.text))
    k = 1
    while any(b"%s%d" % (stem, k) in used for stem in stems):
        k += 1
    return [b"%s%d" % (stem, k) for stem in stems]


def _address(source: Source, access: Node, local: Mapping[bytes, Node]) -> list[Node]:
    """The addends of an element's address, pointer included."""
    return [
        term
        for part in access.named_children()
        for term in (
            [t for c in part.named_children() for t in _addends(source, c, local)]
            if part.type == "subscript_argument_list"
            else _addends(source, part, local)
        )
    ]


def _addends(source: Source, node: Node, local: Mapping[bytes, Node]) -> list[Node]:
    """The terms of a sum, with locals and `&a[i]` taken apart."""
    inner = node.named_children()
    if node.type == "parenthesized_expression" and len(inner) == 1:
        return _addends(source, inner[0], local)
    if node.type == "identifier" and source.of(node) in local:
        return _addends(source, local[source.of(node)], local)
    operator = node.child("operator")
    if node.type == "binary_expression" and operator is not None and operator.type == "+":
        return [term for part in inner for term in _addends(source, part, local)]
    if node.type == "binary_expression" and operator is not None and operator.type == "-":
        return [*_addends(source, inner[0], local), *inner[1:]]
    if node.type == "pointer_expression" and inner and inner[0].type == "subscript_expression":
        return _address(source, inner[0], local) if source.text[node.begin] == ord("&") else [node]
    return [node]
