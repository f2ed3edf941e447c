"""Edits of expressions: replace, generate, delete a term, swap operands, wrap."""

from __future__ import annotations

from itertools import pairwise

from breeder.proposers.edits.adaptation import adapted
from breeder.proposers.edits.change import (
    Change,
    Edit,
    Material,
    fitted,
    is_atom,
    replacing,
    short,
)
from breeder.proposers.edits.generation import array_module, constant, expression
from breeder.proposers.sites import group, sites
from breeder.proposers.trees import Node

_LARGEST_DONOR = 200


def replace_expression(material: Material) -> Edit | None:
    """Put another expression of the same kind, from this program or an inspiration, in its place.

    Conditions replace conditions, sequences sequences, indices indices.
    """
    places = material.sites
    if not places.expressions:
        return None
    target = material.rng.choice(places.expressions)
    donor = material.donor()
    candidates = sites(donor).groups.get(group(material.source, target), [])
    if not candidates:
        return None
    node = material.rng.choice(candidates)
    if node.end - node.begin > _LARGEST_DONOR or node is target:
        return None
    text = adapted(material, donor, node, target)
    if text is None:
        return None
    text = fitted(text, target, atom=is_atom(node))
    return replacing(material, target, text, "replace expression")


def generate_expression(material: Material) -> Edit | None:
    """Put a small generated expression over names in scope in the place of a number."""
    targets = material.sites.groups.get("number", [])
    if not targets:
        return None
    target = material.rng.choice(targets)
    text = expression(material, target)
    if text is None:
        return None
    old = material.source.of(target)
    how = material.rng.random()
    if how < 0.3 and len(old) < 60:
        sign = material.rng.choice((b"+", b"-", b"*"))
        text = b"%s %s (%s)" % (old if is_atom(target) else b"(" + old + b")", sign, text)
    text = fitted(text, target, atom=False)
    return replacing(material, target, text, "generate expression")


def delete_term(material: Material) -> Edit | None:
    """Keep one operand of an operation, one branch of a choice, or the argument of a call."""
    nodes = [n for n in material.sites.expressions if _terms(n)]
    if not nodes:
        return None
    node = material.rng.choice(nodes)
    kept = material.rng.choice(_terms(node))
    text = fitted(material.source.of(kept), node, atom=is_atom(kept))
    return replacing(material, node, text, "delete term")


def _terms(node: Node) -> list[Node]:
    if node.type in {"binary_operator", "boolean_operator", "binary_expression"}:
        return [n for n in (node.child("left"), node.child("right")) if n is not None]
    if node.type in {"unary_operator", "unary_expression", "not_operator"}:
        return [n for n in (node.child("argument"),) if n is not None]
    if node.type == "conditional_expression":
        parts = node.named_children()
        named = [n for n in (node.child("consequence"), node.child("alternative")) if n is not None]
        return named or [parts[0], parts[-1]]
    if node.type in {"call", "call_expression"}:
        arguments = node.child("arguments")
        plain = arguments.named_children() if arguments is not None else []
        return plain[:1] if len(plain) == 1 and plain[0].type != "keyword_argument" else []
    return []


def swap_operands(material: Material) -> Edit | None:
    """Swap the operands of an operation, two arguments of a call, or the branches of a choice."""
    pairs = [p for n in material.sites.expressions for p in _pairs(n)]
    if not pairs:
        return None
    a, b = material.rng.choice(pairs)
    source = material.source
    left, right = source.of(a), source.of(b)
    if left == right or a.end > b.begin:
        return None
    changes = (
        Change(a.begin, a.end, fitted(right, a, atom=is_atom(b))),
        Change(b.begin, b.end, fitted(left, b, atom=is_atom(a))),
    )
    return Edit(changes, f"swap {source.place(a)}: {short(left, 30)} <-> {short(right, 30)}")


def _pairs(node: Node) -> list[tuple[Node, Node]]:
    operands = [n for n in (node.child("left"), node.child("right")) if n is not None]
    if len(operands) == 2:
        return [(operands[0], operands[1])]
    if node.type == "comparison_operator" and len(node.named_children()) == 2:
        first, second = node.named_children()
        return [(first, second)]
    if node.type == "conditional_expression":
        terms = _terms(node)
        return [(terms[0], terms[1])] if len(terms) == 2 else []
    arguments = node.child("arguments")
    if arguments is None:
        return []
    plain = [n for n in arguments.named_children() if n.type != "keyword_argument"]
    return list(pairwise(plain))


def wrap_expression(material: Material) -> Edit | None:
    """Wrap a number: absolute value, bound above or below, negation, scaling, a choice."""
    targets = material.sites.groups.get("number", [])
    if not targets:
        return None
    target = material.rng.choice(targets)
    old = material.source.of(target)
    if len(old) > _LARGEST_DONOR or old.startswith(b"#"):
        return None
    python = material.source.table.family == "python"
    forms = _python_forms(material, target) if python else _c_forms()
    form, atom = material.rng.choice(forms)
    bare = old if is_atom(target) else b"(" + old + b")"
    bound = constant(material.rng, integer=not python or old.isdigit())
    text = form.replace(b"{x}", bare).replace(b"{k}", bound)
    return replacing(material, target, fitted(text, target, atom=atom), "wrap")


_COMMON_FORMS = [(b"-{x}", False), (b"{k} * {x}", False), (b"{x} + {k}", False)]


def _python_forms(material: Material, target: Node) -> list[tuple[bytes, bool]]:
    module = array_module(material.scope, target)
    if module is None:
        calls = [b"abs({x})", b"min({x}, {k})", b"max({x}, {k})"]
    else:
        names = (b"abs({x})", b"minimum({x}, {k})", b"maximum({x}, {k})", b"tanh({x})")
        calls = [module + b"." + name for name in names]
    return [*_COMMON_FORMS, (b"{x} ** 2", False), *((c, True) for c in calls)]


def _c_forms() -> list[tuple[bytes, bool]]:
    choices = [b"{x} > {k} ? {x} : {k}", b"{x} < {k} ? {x} : {k}", b"{x} < 0 ? -{x} : {x}"]
    return [*_COMMON_FORMS, *((c, False) for c in choices)]
