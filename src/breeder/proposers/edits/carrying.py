"""Partial sums in C programs carried from one short sum to the next.

Where each iteration of a loop sums up terms, scales the sum and adds it to a total, as products of
quantised weights do group by group, every iteration ends with adding up lanes. By distributivity
the factor may go to each term, and lanes be added up once, behind the loop. Sums are then taken in
another order, which the evaluation judges.
"""

from __future__ import annotations

from typing import NamedTuple

from breeder.proposers.edits.change import Change, Edit, Material, short
from breeder.proposers.edits.contractions import (
    Contraction,
    contractions,
    scalar_name,
    scalar_value,
)
from breeder.proposers.edits.counted import begun
from breeder.proposers.edits.hints import WIDTHS
from breeder.proposers.edits.layout import laid_out
from breeder.proposers.edits.rewriting import fresh, mentions
from breeder.proposers.trees import Node, Source


class _Total(NamedTuple):
    """`target += sum * factor`, or without a factor."""

    target: Node
    factor: Node | None


def carry_sums(material: Material) -> Edit | None:
    """Sum up a loop's terms apart, over all iterations of the loop around it."""
    source = material.source
    found = [
        (one, total)
        for one in contractions(source, material.sites)
        if (total := _total(source, one)) is not None
    ]
    if not found:
        return None
    one, total = material.rng.choice(found)
    wide = material.rng.choice(WIDTHS)
    node = one.outer.node
    text = _carried(source, one, total, wide)
    note = f"carry sums {source.place(node)}: {short(source.of(one.statement))}{wide.decode()}"
    return Edit((Change(begun(source, node), node.end, text),), note)


def _total(source: Source, found: Contraction) -> _Total | None:
    """Where the sums go; None unless they begin with 0 and are added to the same total."""
    begin = scalar_value(found.scalar) if found.scalar is not None else None
    if found.columns is not None or begin is None or found.scalar is None or len(found.after) != 1:
        return None
    if source.of(begin).rstrip(b"fF.0"):
        return None
    inside = found.after[0].named_children()
    added = inside[0] if len(inside) == 1 else found.after[0]
    target, value, operator = added.child("left"), added.child("right"), added.child("operator")
    if added.type != "assignment_expression" or target is None or value is None:
        return None
    name = scalar_name(source, found.scalar)
    moving = {found.rows.name, name, *found.local}
    still = not any(mentions(source, target, one, found.local) for one in moving)
    if operator is None or operator.type != "+=" or not still:
        return None
    return _scaled(source, target, value, name)


def _scaled(source: Source, target: Node, value: Node, name: bytes) -> _Total | None:
    """The sum itself, or a product of it and of what does not depend on it."""
    if source.of(value) == name:
        return _Total(target, None)
    sign, sides = value.child("operator"), (value.child("left"), value.child("right"))
    if value.type != "binary_expression" or sign is None or sign.type != "*":
        return None
    for side, other in (sides, sides[::-1]):
        if side is not None and other is not None and source.of(side) == name:
            return None if mentions(source, other, name, {}) else _Total(target, other)
    return None


def _carried(source: Source, found: Contraction, total: _Total, wide: bytes) -> bytes:
    """The text of the loops: an array of sums, filled over all iterations, added up behind them."""
    (sums,) = fresh(source, b"carried")
    assert found.scalar is not None
    rows, terms, kind = found.rows, found.terms, found.scalar.child("type")
    assert terms.start is not None
    assert kind is not None
    bound, start = source.of(terms.bound), source.of(terms.start)
    each = b"for (%s %s = %s; %s < %s; %s++) {"
    each %= (terms.type, terms.name, start, terms.name, bound, terms.name)
    element = b"%s[%s]" % (sums, terms.name)
    operator = found.statement.named_children()[0].child("operator")
    assert operator is not None
    value = b"(" + source.of(found.value) + b")"
    if total.factor is not None:
        value += b" * (" + source.of(total.factor) + b")"
    local = [s for s in rows.statements(source) if s.type == "declaration" and s != found.scalar]
    lines = [
        (1, b"%s %s[%s + 1];" % (source.of(kind), sums, bound)),  # one more, lest there be none
        (1, each),
        (2, element + b" = 0;"),
        (1, b"}"),
        (1, rows.head(source) + b" {"),
        *((2, source.of(one)) for one in local),
        (0, b"#pragma omp simd" + wide),
        (2, each),
        (3, b"%s %s %s;" % (element, source.of(operator), value)),
        (2, b"}"),
        (1, b"}"),
        (1, each),
        (2, source.of(total.target) + b" += " + element + b";"),
        (1, b"}"),
    ]
    return laid_out(source, found.outer.node, lines)
