"""Reductions in C programs split into lanes, which compilers that keep to the order may not do."""

from __future__ import annotations

from breeder.proposers.edits.change import Change, Edit, Material, short
from breeder.proposers.edits.counted import Counted, begun, counted, goes_on
from breeder.proposers.edits.hints import WIDTHS, reductions
from breeder.proposers.edits.layout import indent_of, laid_out
from breeder.proposers.edits.rewriting import fresh, rewritten
from breeder.proposers.trees import Node, Source

_LANES = (16, 32, 64, 64, 128)
_ALL = 0.6  # chance that all of a function are split alike
_JOINED = {
    b"+": b"%s += %s;",
    b"max": b"%s = %s > %s ? %s : %s;",
    b"min": b"%s = %s < %s ? %s : %s;",
}


def split_reduction(material: Material) -> Edit | None:
    """Reduce in lanes side by side, which are put together in the end; one loop, or all.

    Vectors alone leave one chain of additions; lanes of several vectors make as many chains, so
    that an addition need not wait for the one before. The number of lanes is a named constant.
    """
    source, rng = material.source, material.rng
    found = [
        (loop, reduced)
        for node in material.sites.statements
        if node.type == "for_statement" and indent_of(source, node) is not None
        if not goes_on(node)
        if (loop := counted(source, node)) is not None and _splits(loop)
        if (reduced := reductions(source, loop))
        if set(reduced.values()) <= set(_JOINED)
    ]
    if not found:
        return None
    first = rng.choice(found)
    chosen = [first]
    if rng.random() < _ALL:
        function = source.function(first[0].node)
        chosen = [one for one in found if source.function(one[0].node) is function]
    count = rng.choice(_LANES)
    wide = rng.choice(WIDTHS)
    changes = tuple(
        Change(begun(source, loop.node), loop.node.end, _split(source, loop, reduced, count, wide))
        for loop, reduced in chosen
    )
    which = f"{len(chosen)} reductions" if len(chosen) > 1 else short(first[0].head(source))
    return Edit(changes, f"split {source.place(first[0].node)}: {which} by {count}{wide.decode()}")


def _splits(loop: Counted) -> bool:
    return bool(loop.type) and loop.step == b"1"


def _split(
    source: Source, loop: Counted, reduced: dict[bytes, bytes], count: int, wide: bytes
) -> bytes:
    """The text of a loop in lanes, with what fills no lanes behind."""
    lanes, lane, *parts = fresh(source, b"lanes", b"lane", *(name + b"_of" for name in reduced))
    arrays = dict(zip(reduced, parts, strict=True))
    assert loop.start is not None
    bound = source.of(loop.bound)
    if loop.bound.type == "binary_expression":
        bound = b"(" + bound + b")"
    each = b"for (int %s = 0; %s < %s; %s++) {" % (lane, lane, lanes, lane)
    names: dict[bytes, bytes | Node] = {
        name: b"%s[%s]" % (array, lane) for name, array in arrays.items()
    }
    moved = {**names, loop.name: b"(%s + %s)" % (loop.name, lane)}
    lines = [(1, b"const int %s = %d;" % (lanes, count))]
    lines += [(1, b"%s %s[%s];" % (_type(source, n), a, lanes)) for n, a in arrays.items()]
    lines += [(1, each)]
    lines += [
        (2, b"%s[%s] = %s;" % (a, lane, b"0" if reduced[n] == b"+" else n))
        for n, a in arrays.items()
    ]
    lines += [
        (1, b"}"),
        (1, b"%s %s = %s;" % (loop.type, loop.name, source.of(loop.start))),
        (1, b"for (; %s + %s <= %s; %s += %s) {" % (loop.name, lanes, bound, loop.name, lanes)),
        (0, b"#pragma omp simd" + wide),
        (2, each),
        *((3, rewritten(source, one, moved)) for one in loop.statements(source)),
        (2, b"}"),
        (1, b"}"),
        (1, b"for (; %s < %s; %s++) {" % (loop.name, bound, loop.name)),
        *((2, source.of(one)) for one in loop.statements(source)),
        (1, b"}"),
        (1, each),
    ]  # fmt: skip
    for name, array in arrays.items():
        part = b"%s[%s]" % (array, lane)
        form = _JOINED[reduced[name]]
        both = (name, part) if reduced[name] == b"+" else (name, part, name, part, name)
        lines.append((2, form % both))
    return laid_out(source, loop.node, [*lines, (1, b"}")])


def _type(source: Source, name: bytes) -> bytes:
    """The type of a value of a variable. In C, where a tree cannot tell, that of most numbers."""
    return b"float" if source.table.name == "c" else b"decltype(0 + %s)" % name
