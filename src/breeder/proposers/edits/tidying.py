"""Tidying: drops assignments that an edit has left without effect.

An edit that assigns to a name anew often makes dead what was assigned to it before. What is dead
can still be edited, which changes nothing and costs an evaluation each time; and nobody wants to
read it.
"""

from __future__ import annotations

from collections.abc import Sequence

from breeder.proposers.trees import Node, Source, decode, read

_PURE = frozenset(
    b"abs min max float int bool round sum len sqrt exp log fabs fmin fmax sqrtf expf fabsf".split()
)
_ACTING = frozenset({"await", "yield", "named_expression", "update_expression"})
_BLOCKS = frozenset({"block", "compound_statement"})


def tidied(text: bytes, language: str, *, whole: bool) -> bytes:
    """Drop assignments to local names that are assigned again before anybody reads them.

    Only within one block of statements, and only where neither the value nor anything up to the
    next assignment calls more than a few pure functions, which might have side effects or read the
    name elsewhere. Returns the text as it is where nothing is dead.
    """
    while True:
        source = read(decode(text), language, whole=whole)
        dead = None if source is None else _first_dead(source)
        if source is None or dead is None:
            return text
        begin = text.rfind(b"\n", 0, dead.begin) + 1
        end = text.find(b"\n", dead.end) + 1 or len(text)
        if text[begin : dead.begin].strip() or text[dead.end : end].strip(b" \t\r\n;"):
            return text  # it shares its lines with something else
        text = text[:begin] + text[end:]


def _first_dead(source: Source) -> Node | None:
    for node in source.root.walk():
        if node.type in _BLOCKS:
            statements = node.named_children()
            for index, statement in enumerate(statements):
                if source.evolvable(statement) and _is_dead(
                    source, statement, statements[index + 1 :]
                ):
                    return statement
    return None


def _is_dead(source: Source, statement: Node, later: Sequence[Node]) -> bool:
    found = _assigned(source, statement)
    if found is None or not _is_pure(source, found[1]) or _assigns(found[1]):
        return False
    name = found[0]
    for other in later:
        again = _assigned(source, other)
        if again is not None and again[0] == name:
            return not _mentions(source, again[1], name) and _is_pure(source, again[1])
        if _mentions(source, other, name) or not _is_pure(source, other):
            return False
    return False


def _assigned(source: Source, statement: Node) -> tuple[bytes, Node] | None:
    """Name and value of a statement that is nothing but a plain assignment to a name."""
    children = statement.named_children()
    if statement.type != "expression_statement" or len(children) != 1:
        return None
    node = children[0]
    if node.type not in {"assignment", "assignment_expression"}:
        return None
    target, value, operator = node.child("left"), node.child("right"), node.child("operator")
    if target is None or value is None or target.type != "identifier":
        return None
    if operator is not None and operator.type != "=":
        return None
    return source.of(target), value


def _assigns(value: Node) -> bool:
    return any(node.type in {"assignment", "assignment_expression"} for node in value.walk())


def _mentions(source: Source, node: Node, name: bytes) -> bool:
    return any(n.type == "identifier" and source.of(n) == name for n in node.walk())


def _is_pure(source: Source, value: Node) -> bool:
    for node in value.walk():
        if node.type in {"call", "call_expression"}:
            callee = node.child("function")
            if callee is None or source.of(callee) not in _PURE:
                return False
        elif node.type in _ACTING:
            return False
    return True
