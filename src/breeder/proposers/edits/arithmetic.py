"""Edits of arithmetic in C programs: what a compiler that must round as written leaves alone."""

from __future__ import annotations

import re

from breeder.proposers.edits.change import Change, Edit, Material, short
from breeder.proposers.edits.counted import (
    Counted,
    begun,
    changed,
    counted,
    declared,
    names,
)
from breeder.proposers.edits.layout import indent_of
from breeder.proposers.edits.rewriting import fresh
from breeder.proposers.trees import Node, Source

_CALL = re.compile(rb"(?:std::)?(?:expf?|__builtin_expf)")

EXPONENTIAL = """\
// exp(x) without a call or a branch: x = n log 2 + r, |r| <= log(2) / 2, a polynomial of r
// (Cephes, Moshier), and n added to its exponent. At least exp(-87), infinite above 88.7.
static inline float NAME(float x)
{
    const float low = x < -0x1.5cp+6f ? -0x1.5cp+6f : x;
    const float bounded = low > 0x1.62cccccp+6f ? 0x1.62cccccp+6f : low;
    const float shifted = bounded * 1.44269504f + 0x1.8p+23f; // rounds to a whole number
    const float n = shifted - 0x1.8p+23f;
    const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 0x1p+0f;
    unsigned exponent, bits;
    __builtin_memcpy(&exponent, &shifted, sizeof exponent);
    __builtin_memcpy(&bits, &p, sizeof bits);
    bits += exponent << 23;
    __builtin_memcpy(&p, &bits, sizeof p);
    return x > 0x1.62cccccp+6f ? __builtin_inff() : p;
}

"""
"""A float exponential that vectorises: within 2 ulp from -87 to 88.7; NaN stays NaN.

Bounds are hexadecimal, lest they be taken for parameters to tune.
"""


def expand_exponential(material: Material) -> Edit | None:
    """Replace calls of the library's exponential by a polynomial, which can run in vectors.

    All calls within one function, where a function can be put before it.
    """
    source = material.source
    calls = [
        node
        for node in source.root.walk()
        if node.type == "call_expression" and _is_exponential(source, node)
    ]
    places = [(function, call) for call in calls if (function := _top(source, call)) is not None]
    if not places:
        return None
    function = material.rng.choice([one for one, _ in places])
    (name,) = fresh(source, b"exponential")
    text = EXPONENTIAL.replace("NAME", name.decode()).encode().replace(b"\n", source.newline)
    above = _above(source, function)
    changes = [Change(above, above, text)]
    for one, call in places:
        callee = call.child("function")
        if one is function and callee is not None:
            changes.append(Change(callee.begin, callee.end, name))
    return Edit(tuple(changes), f"expand exponential {source.place(calls[0])}")


def hoist_reciprocal(material: Material) -> Edit | None:
    """Divide once before a loop, and multiply in it."""
    source = material.source
    found = [
        (loop, divisor)
        for statement in material.sites.statements
        if statement.type == "for_statement" and indent_of(source, statement) is not None
        if (loop := counted(source, statement)) is not None
        for divisor in _divisors(source, loop)
    ]
    if not found:
        return None
    loop, divisor = material.rng.choice(found)
    name = source.of(divisor)
    (inverse,) = fresh(source, b"inverse")
    kind = b"auto" if source.table.name != "c" else b"__auto_type"
    indent = indent_of(source, loop.node) or b""
    line = b"const %s %s = 1 / %s;" % (kind, inverse, name)
    begin = begun(source, loop.node)
    changes = [Change(begin, begin, line + source.newline + indent)]
    for node in _divisions(source, loop.body, name):
        changes += _multiplied(source, node, inverse)
    note = f"hoist reciprocal {source.place(loop.node)}: 1 / {short(name)}"
    return Edit(tuple(changes), note)


def _is_exponential(source: Source, call: Node) -> bool:
    callee = call.child("function")
    return callee is not None and _CALL.fullmatch(source.of(callee)) is not None


def _top(source: Source, node: Node) -> Node | None:
    """The evolvable function at file level that holds a node."""
    function = source.function(node)
    if function is None or not source.evolvable(function) or function.parent is not source.root:
        return None
    return function


def _above(source: Source, function: Node) -> int:
    """Where a function begins, with the comments right above it."""
    begin = function.begin
    siblings = function.parent.children[: function.index] if function.parent is not None else []
    for node in reversed(siblings):
        gap = source.text[node.end : begin]
        if node.type not in source.table.comments or gap.strip() or gap.count(b"\n") > 1:
            break
        if not source.evolvable(node) or b"EVOLVE-BLOCK" in source.of(node):
            break
        begin = node.begin
    return begin


def _divisors(source: Source, loop: Counted) -> list[Node]:
    """Floating-point variables that the body divides by and leaves as they are, each once."""
    fixed = declared(source, [n for n in loop.body.walk() if n.type == "declaration"])
    fixed |= changed(source, loop.body) | {loop.name}
    found: dict[bytes, Node] = {}
    for node in loop.body.walk():
        divisor = node.child("right")
        operator = node.child("operator")
        if divisor is None or operator is None or operator.type not in {"/", "/="}:
            continue
        if divisor.type != "identifier" or names(source, divisor) & fixed:
            continue
        if _is_floating(source, divisor):
            found.setdefault(source.of(divisor), divisor)
    return list(found.values())


def _is_floating(source: Source, name: Node) -> bool:
    """Whether all that the file declares by this name are numbers with a fraction."""
    text = source.of(name)
    kinds = {
        source.of(kind)
        for node in source.root.walk()
        if node.type in {"declaration", "parameter_declaration"}
        and (kind := node.child("type")) is not None
        for declarator in node.all("declarator")
        if source.of(declarator.child("declarator") or declarator) == text
    }
    return bool(kinds) and kinds <= {b"float", b"double"}


def _divisions(source: Source, body: Node, name: bytes) -> list[Node]:
    return [
        node
        for node in body.walk()
        if (operator := node.child("operator")) is not None
        and operator.type in {"/", "/="}
        and (divisor := node.child("right")) is not None
        and source.of(divisor) == name
    ]


def _multiplied(source: Source, node: Node, inverse: bytes) -> list[Change]:
    operator, divisor = node.child("operator"), node.child("right")
    assert operator is not None
    assert divisor is not None
    sign = source.of(operator).replace(b"/", b"*")
    return [
        Change(operator.begin, operator.end, sign),
        Change(divisor.begin, divisor.end, inverse),
    ]
