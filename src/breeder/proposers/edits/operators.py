"""Edits of operators and conditions."""

from __future__ import annotations

from breeder.proposers.edits.adaptation import adapted
from breeder.proposers.edits.change import (
    Change,
    Edit,
    Material,
    bracketed,
    fitted,
    is_atom,
    replacing,
    short,
)
from breeder.proposers.edits.generation import condition
from breeder.proposers.sites import sites
from breeder.proposers.trees import Node

_LOOSER = {b"<": b"<=", b">": b">=", b"<=": b"<", b">=": b">", b"==": b"!=", b"!=": b"=="}


def change_operator(material: Material) -> Edit | None:
    """Replace an arithmetic, comparison, boolean or assignment operator by one of its kind."""
    found = [(n, o) for n in material.sites.operations for o in _operators(n)]
    if not found:
        return None
    node, operator = material.rng.choice(found)
    source = material.source
    old = source.of(operator)
    others = [o for g in source.table.operators if old in g for o in g if o != old]
    if source.table.family == "c" and node.type == "assignment_expression" and old == b"=":
        others = [o for o in others if _numeric_target(material, node)]
    if not others:
        return None
    new = material.rng.choice(others)
    note = f"change operator {source.place(node)}: {short(source.of(node))}: {old!r} -> {new!r}"
    return Edit((Change(operator.begin, operator.end, new),), note.replace("b'", "'"))


def _operators(node: Node) -> list[Node]:
    if node.type in {"unary_operator", "unary_expression", "not_operator", "pointer_expression"}:
        return []
    return node.all("operator") + node.all("operators")


def _numeric_target(material: Material, node: Node) -> bool:
    left = node.child("left")
    return left is not None and left.type != "identifier"


def change_condition(material: Material) -> Edit | None:
    """Replace, negate, strengthen or loosen a condition."""
    targets = material.sites.groups.get("condition", [])
    if not targets:
        return None
    target = material.rng.choice(targets)
    if _keeps_loop(target):
        return _shift(material, target)
    how = material.rng.choice((_replace, _replace, _negate, _join, _join, _shift))
    return how(material, target)


def _replace(material: Material, target: Node) -> Edit | None:
    text, atom = _other(material, target)
    if text is None:
        return None
    return replacing(material, target, fitted(text, target, atom=atom), "replace condition")


def _keeps_loop(node: Node) -> bool:
    """Whether a condition ends a counting loop: looser ones seldom end it."""
    parent = node.parent
    return parent is not None and parent.type == "for_statement" and node.field == "condition"


def _negate(material: Material, target: Node) -> Edit | None:
    negation = material.source.table.booleans[2]
    if _array_like(material, target):
        return None
    old = material.source.of(target)
    text = negation + (old if is_atom(target) else b"(" + old + b")")
    return replacing(material, target, fitted(text, target, atom=False), "negate condition")


def _join(material: Material, target: Node) -> Edit | None:
    if _array_like(material, target):
        return None
    other, atom = _other(material, target)
    if other is None:
        return None
    both, either, _ = material.source.table.booleans
    word, what = material.rng.choice(((both, "strengthen"), (either, "loosen")))
    old = material.source.of(target)
    left = old if is_atom(target) else bracketed(old)
    right = other if atom else bracketed(other)
    text = fitted(b"%s %s %s" % (left, word, right), target, atom=False)
    return replacing(material, target, text, f"{what} condition")


def _shift(material: Material, target: Node) -> Edit | None:
    operators = target.all("operator") + target.all("operators")
    source = material.source
    if len(operators) != 1 or source.of(operators[0]) not in _LOOSER:
        return None
    operator = operators[0]
    new = _LOOSER[source.of(operator)]
    text = source.text[target.begin : operator.begin] + new
    text += source.text[operator.end : target.end]
    return replacing(material, target, text, "shift condition")


def _array_like(material: Material, target: Node) -> bool:
    """Whether a condition is a value (perhaps an array mask), not a branch: no boolean words."""
    if material.source.table.family != "python":
        return False
    node: Node | None = target
    while node is not None and node.parent is not None:
        parent = node.parent
        if node.field == "condition" or parent.type in {"if_clause", "boolean_operator"}:
            return False
        if parent.type not in {"parenthesized_expression", "not_operator"}:
            return True
        node = parent
    return True


def _other(material: Material, target: Node) -> tuple[bytes | None, bool]:
    """Another condition for the place of `target`, and whether it is an atom."""
    if material.rng.random() < 0.4:
        return condition(material, target), False
    donor = material.donor()
    candidates = [n for n in sites(donor).groups.get("condition", []) if n.end - n.begin < 120]
    if not candidates:
        return None, False
    node = material.rng.choice(candidates)
    if node is target:
        return None, False
    return adapted(material, donor, node, target), is_atom(node)
