"""Edits that tell a C compiler more: loop pragmas, pointers without aliases, aligned arrays.

They change no statement. What they promise (independent iterations, no aliases, sums in any order)
may be untrue of a program; its evaluation finds out.
"""

from __future__ import annotations

import re

from breeder.proposers.edits.change import Change, Edit, Material, short
from breeder.proposers.edits.counted import (
    JUMPS,
    Counted,
    changed,
    counted,
    declared,
    names,
    pragma_of,
)
from breeder.proposers.edits.layout import indent_of
from breeder.proposers.languages import words
from breeder.proposers.trees import Node, Source

_UNROLLINGS = (2, 4, 8, 16)
WIDTHS = (b"", b" simdlen(8)", b" simdlen(16)", b" simdlen(16)", b" simdlen(16)", b" simdlen(32)")
"""Clauses for the width of vectors, those that pay more often repeated.

Left to itself a compiler may stay below the widest vectors of a processor, as GCC does by default
on processors with 512 bits.
"""

_SIMD = b"#pragma omp simd"
_SIMDLEN = re.compile(rb" simdlen\(\d+\)")
_ALIGNMENT = 64  # bytes: a cache line of common processors and their widest vector
_RESTRICT = b"__restrict__"
_LOOPS = words("for_statement while_statement do_statement for_range_loop")
_REDUCING = {b"+=": b"+", b"*=": b"*"}


def change_pragma(material: Material) -> Edit | None:
    """Put a pragma before a loop, mostly an innermost one; change or remove the one it has."""
    source, rng = material.source, material.rng
    loops = [
        node
        for node in material.sites.statements
        if node.type == "for_statement" and indent_of(source, node) is not None
    ]
    if not loops:
        return None
    innermost = [n for n in loops if not any(m.type == "for_statement" for m in _below(n))]
    loop = rng.choice(innermost if innermost and rng.random() < 0.75 else loops)
    old = pragma_of(source, loop)
    if old is not None and not source.evolvable(old):
        return None
    begin = loop.begin if old is None else old.begin
    before = b"" if old is None else source.of(old).strip()
    head = short(source.of(loop), 40)
    if before and rng.random() < 0.3:
        note = f"remove pragma {source.place(loop)}: {short(before, 40)} from {head}"
        return Edit((Change(begin, loop.begin, b""),), note)
    pragma = rng.choice([p for p in _pragmas(material, loop) if p != before])
    text = pragma + source.newline + (indent_of(source, loop) or b"")
    note = f"set pragma {source.place(loop)}: {short(pragma)} before {head}"
    return Edit((Change(begin, loop.begin, text),), note)


def vectorise_loops(material: Material) -> Edit | None:
    """Ask for vectors in every innermost loop of a function that may have them."""
    source, rng = material.source, material.rng
    wide = rng.choice(WIDTHS)
    found: dict[int, list[Change]] = {}
    for node in material.sites.statements:
        if node.type != "for_statement" or indent_of(source, node) is None:
            continue
        clauses = _asking(source, node)
        function = source.function(node)
        if clauses is None or function is None or pragma_of(source, node) is not None:
            continue
        text = clauses + wide + source.newline + (indent_of(source, node) or b"")
        found.setdefault(function.begin, []).append(Change(node.begin, node.begin, text))
    if not found:
        return None
    begin = rng.choice(sorted(found))
    count = len(found[begin])
    shown = wide.decode().strip() or "any width"
    return Edit(tuple(found[begin]), f"vectorise {count} innermost loops, {shown}")


def change_width(material: Material) -> Edit | None:
    """Change the width that is asked for before all loops of a function, tiles included."""
    source, rng = material.source, material.rng
    found: dict[int, list[tuple[Node, bytes]]] = {}
    for node in material.sites.statements:
        pragma = pragma_of(source, node) if node.type == "for_statement" else None
        function = source.function(node)
        if pragma is None or function is None or not source.evolvable(pragma):
            continue
        text = source.of(pragma).strip()
        if text.startswith(_SIMD):
            found.setdefault(function.begin, []).append((pragma, text))
    if not found:
        return None
    pragmas = found[rng.choice(sorted(found))]
    widths = [width for width in WIDTHS if any(width != _width(text) for _, text in pragmas)]
    wide = rng.choice(widths)
    changes = [
        Change(pragma.begin, pragma.begin + len(text), text.replace(_width(text), b"") + wide)
        for pragma, text in pragmas
        if _width(text) != wide
    ]
    shown = wide.decode().strip() or "any width"
    return Edit(tuple(changes), f"change width of {len(changes)} vector loops to {shown}")


def change_restrict(material: Material) -> Edit | None:
    """Qualify pointers as having no aliases, or remove that: one, or all of its function."""
    source, rng = material.source, material.rng
    pointers = _pointers(source)
    if not pointers:
        return None
    chosen = rng.choice(pointers)
    group = [chosen]
    if rng.random() < 0.6:
        function = source.function(chosen)
        group = [p for p in pointers if source.function(p) is function]
    off = _qualifier(source, chosen) is not None
    changes = [change for p in group if (change := _qualified(source, p, off=off)) is not None]
    what = "remove restrict from" if off else "add restrict to"
    shown = b", ".join(source.of(_name(p)) for p in group)
    return Edit(tuple(changes), f"{what} pointers {source.place(chosen)}: {short(shown)}")


def align_array(material: Material) -> Edit | None:
    """Align a local array to a cache line, or no longer."""
    source = material.source
    arrays = [
        statement
        for statement in material.sites.statements
        if statement.type == "declaration" and _declares_array(statement)
    ]
    if not arrays:
        return None
    array = material.rng.choice(arrays)
    first = array.children[0]
    shown = f"{source.place(array)}: {short(source.of(array))}"
    if source.of(first).lower().lstrip(b"_").startswith(b"alignas"):
        end = array.children[1].begin
        return Edit((Change(array.begin, end, b""),), f"no longer align array {shown}")
    word = b"_Alignas" if source.table.name == "c" else b"alignas"
    text = b"%s(%d) " % (word, _ALIGNMENT)
    return Edit((Change(array.begin, array.begin, text),), f"align array {shown}")


def _below(node: Node) -> list[Node]:
    return [n for child in node.children for n in child.walk()]


def _width(pragma: bytes) -> bytes:
    """The clause for the width of vectors, with the space before it; b"" where there is none."""
    clause = _SIMDLEN.search(pragma)
    return b"" if clause is None else clause[0]


def _pragmas(material: Material, loop: Node) -> list[bytes]:
    found = [b"#pragma GCC unroll %d" % material.rng.choice(_UNROLLINGS), b"#pragma GCC ivdep"]
    simd = _asking(material.source, loop)
    return found if simd is None else [*found, simd, simd + material.rng.choice(WIDTHS[1:])]


def _asking(source: Source, loop: Node) -> bytes | None:
    """The pragma that asks for vectors in a loop; None where there may be none."""
    counting = counted(source, loop)
    reduced = reductions(source, counting) if counting is not None else None
    if reduced is None:
        return None
    clauses = (b" reduction(%s:%s)" % (reduced[name], name) for name in sorted(reduced))
    return _SIMD + b"".join(clauses)


def reductions(source: Source, loop: Counted) -> dict[bytes, bytes] | None:
    """The variables that a loop reduces its values to, with the operators, as OpenMP spells them.

    None when OpenMP allows no `simd` there: without a start, with jumps, loops or other
    assignments to variables of outside.
    """
    if loop.start is None or loop.jumps(JUMPS | _LOOPS):
        return None
    inner = [n for n in loop.body.walk() if n.type == "declaration"]
    outer = changed(source, loop.body) - declared(source, inner)
    reduced: dict[bytes, bytes] = {}
    for node in loop.body.walk():
        target = node.child("left")
        if node.type == "assignment_expression" and target is not None:
            name, operator = source.of(target), _reduced(source, node)
            if name in outer and (
                operator is None or reduced.setdefault(name, operator) != operator
            ):
                return None
    return None if outer - set(reduced) else reduced


def _reduced(source: Source, assignment: Node) -> bytes | None:
    """The operator by which an assignment reduces its values; None when it does not."""
    target, value = assignment.child("left"), assignment.child("right")
    operator = assignment.child("operator")
    if target is None or value is None or operator is None:
        return None
    if source.of(operator) in _REDUCING:
        return None if source.of(target) in names(source, value) else _REDUCING[source.of(operator)]
    return _extreme(source, source.of(target), value) if operator.type == "=" else None


def _extreme(source: Source, name: bytes, value: Node) -> bytes | None:
    """`max` for `x > name ? x : name` and its like, `min` likewise."""
    condition = value.child("condition")
    if value.type != "conditional_expression" or condition is None:
        return None
    sides = [condition.child("left"), condition.child("right")]
    ways = [value.child("consequence"), value.child("alternative")]
    left, right, taken, other = (source.of(n) if n is not None else b"" for n in (*sides, *ways))
    operator = condition.child("operator")
    compares = operator is not None and operator.type in {"<", "<=", ">", ">="}
    if not compares or operator is None or {left, right} != {taken, other}:
        return None
    if name not in {left, right}:
        return None
    return b"max" if (operator.type[0] == ">") == (taken == left) else b"min"


def _pointers(source: Source) -> list[Node]:
    """Declarators of evolvable pointers that are parameters or local variables."""
    return [
        node
        for node in source.root.walk()
        if node.type == "pointer_declarator"
        and source.evolvable(node)
        and _name(node).type == "identifier"
        and source.function(node) is not None
        and node.parent is not None
        and node.parent.type in {"parameter_declaration", "init_declarator"}
    ]


def _name(pointer: Node) -> Node:
    return pointer.child("declarator") or pointer


def _qualifier(source: Source, pointer: Node) -> Node | None:
    return next((c for c in pointer.children if source.of(c) == _RESTRICT), None)


def _qualified(source: Source, pointer: Node, *, off: bool) -> Change | None:
    """The change that adds or removes the qualifier; None when there is nothing to do."""
    present = _qualifier(source, pointer)
    if off == (present is None):
        return None
    name = _name(pointer)
    if present is not None:
        return Change(present.begin, name.begin, b"")
    return Change(name.begin, name.begin, _RESTRICT + b" ")


def _declares_array(declaration: Node) -> bool:
    declarators = [d.child("declarator") or d for d in declaration.all("declarator")]
    plain = [d for d in declaration.all("declarator") if d.type == "array_declarator"]
    return bool(plain) or any(d.type == "array_declarator" for d in declarators)
