"""Contractions in C programs: nests of counted loops that sum products into elements.

A matrix product, the scores of attention and its weighted sum of values are of this kind, as is a
matrix times a vector. Found are loops with nothing in them but the sum, the locals that it reads
and, where it is summed up in a scalar, what is done with that afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from breeder.proposers.edits.counted import JUMPS, Counted, changed, counted, counted_loops
from breeder.proposers.edits.rewriting import mentions
from breeder.proposers.sites import Sites
from breeder.proposers.trees import Node, Source

_SUMMING = frozenset({"+=", "-="})


@dataclass(frozen=True, slots=True)
class Contraction:
    """A nest that adds up terms for every row and column.

    Attributes:
        outer: the outermost loop, which the nest begins with.
        rows: the loop over rows, one of those in the nest.
        columns: the loop over columns; None for a sum per row alone.
        terms: the loop over the terms of a sum.
        statement: adds a term: `target += value`.
        target, value: its sides.
        scalar: declaration of the scalar that is summed up; None where elements of an array are.
        after: what is done with the scalar, before the next one.
        local: locals of the nest -> what initialises them.
    """

    outer: Counted
    rows: Counted
    columns: Counted | None
    terms: Counted
    statement: Node
    target: Node
    value: Node
    scalar: Node | None
    after: list[Node] = field(default_factory=list)
    local: dict[bytes, Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Body:
    """What stands in a loop: locals, then one loop, then the rest."""

    local: dict[bytes, Node]
    scalar: Node | None
    loop: Node
    after: list[Node]


def contractions(source: Source, sites: Sites) -> list[Contraction]:
    """The contractions that begin with a loop among the sites."""
    found = []
    for outer in counted_loops(source, sites.statements):
        if not _is_plain(outer):
            continue
        one = _of_a_scalar(source, outer) or _of_elements(source, outer)
        if one is not None and _is_rectangular(source, one):
            found.append(one)
    return found


def scalar_name(source: Source, declaration: Node) -> bytes:
    """The name that a declaration of one scalar binds."""
    declarator = declaration.child("declarator")
    name = declarator.child("declarator") if declarator is not None else None
    return source.of(name) if name is not None else b""


def scalar_value(declaration: Node) -> Node | None:
    """What a declaration of one scalar begins with."""
    declarator = declaration.child("declarator")
    return declarator.child("value") if declarator is not None else None


def _of_a_scalar(source: Source, outer: Counted) -> Contraction | None:
    """`for i: for j: { s = 0; for t: s += e; use(s) }`, or without j."""
    first = _body(source, outer)
    if first is None:
        return None
    if first.scalar is not None:
        return _summed(source, outer, None, first, {})
    columns = _counted(source, first.loop)
    second = _body(source, columns) if columns is not None and not first.after else None
    if columns is None or second is None or second.scalar is None:
        return None
    return _summed(source, outer, columns, second, first.local)


def _summed(
    source: Source, rows: Counted, columns: Counted | None, body: _Body, local: dict[bytes, Node]
) -> Contraction | None:
    terms = _counted(source, body.loop)
    added = _added(source, terms) if terms is not None else None
    if terms is None or added is None or body.scalar is None:
        return None
    statement, target, value = added
    name = scalar_name(source, body.scalar)
    if source.of(target) != name or mentions(source, value, name, {}):
        return None
    return Contraction(
        rows, rows, columns, terms, statement, target, value, body.scalar, body.after,
        {**local, **body.local},
    )  # fmt: skip


def _of_elements(source: Source, outer: Counted) -> Contraction | None:
    """`for i: for t: for j: y[i, j] += e`, with the first two in either order."""
    first = _body(source, outer)
    middle = _counted(source, first.loop) if first is not None and not first.after else None
    second = _body(source, middle) if middle is not None else None
    inner = _counted(source, second.loop) if second is not None and not second.after else None
    added = _added(source, inner) if inner is not None else None
    if first is None or middle is None or second is None or inner is None or added is None:
        return None
    if first.scalar is not None or second.scalar is not None:
        return None
    statement, target, value = added
    local = {**first.local, **second.local}
    depends = [mentions(source, target, loop.name, local) for loop in (outer, middle, inner)]
    if target.type != "subscript_expression" or not depends[2] or depends[0] == depends[1]:
        return None
    rows, terms = (outer, middle) if depends[0] else (middle, outer)
    return Contraction(outer, rows, inner, terms, statement, target, value, None, [], local)


def _body(source: Source, loop: Counted) -> _Body | None:
    """Take a body apart; None when it is not locals, one loop and perhaps more."""
    statements = [s for s in loop.statements(source) if s.type != "preproc_call"]
    at = next((k for k, s in enumerate(statements) if s.type == "for_statement"), None)
    if at is None or any(s.type == "for_statement" for s in statements[at + 1 :]):
        return None
    written = changed(source, loop.body)
    local: dict[bytes, Node] = {}
    scalar: Node | None = None
    for statement in statements[:at]:
        bound = _initialised(source, statement)
        if bound is None:
            return None
        name, value, plain = bound
        if name not in written:
            local[name] = value
        elif scalar is None and plain:
            scalar = statement
        else:
            return None
    return _Body(local, scalar, statements[at], statements[at + 1 :])


def _initialised(source: Source, statement: Node) -> tuple[bytes, Node, bool] | None:
    """Name and value of a declaration of one variable, and whether it is no pointer."""
    declarators = statement.all("declarator") if statement.type == "declaration" else []
    if len(declarators) != 1:
        return None
    declarator, value = declarators[0].child("declarator"), declarators[0].child("value")
    if declarator is None or value is None or value.type == "initializer_list":
        return None
    names = [n for n in declarator.walk() if n.type == "identifier"]
    if len(names) != 1 or declarator.type not in {"identifier", "pointer_declarator"}:
        return None
    return source.of(names[0]), value, declarator.type == "identifier"


def _added(source: Source, loop: Counted) -> tuple[Node, Node, Node] | None:
    """The only statement of a loop, if it adds to something: itself, target and value."""
    statements = loop.statements(source)
    expressions = statements[0].named_children() if len(statements) == 1 else []
    if len(expressions) != 1 or expressions[0].type != "assignment_expression":
        return None
    operator = expressions[0].child("operator")
    target, value = expressions[0].child("left"), expressions[0].child("right")
    if operator is None or operator.type not in _SUMMING or target is None or value is None:
        return None
    return statements[0], target, value


def _counted(source: Source, node: Node) -> Counted | None:
    loop = counted(source, node)
    return loop if loop is not None and _is_plain(loop) else None


def _is_plain(loop: Counted) -> bool:
    return (
        bool(loop.type) and loop.start is not None and loop.step == b"1" and not loop.jumps(JUMPS)
    )


def _is_rectangular(source: Source, found: Contraction) -> bool:
    """Whether every range is the same for all iterations of the other loops."""
    loops = [one for one in (found.rows, found.columns, found.terms) if one is not None]
    inside = {loop.name for loop in loops} | set(found.local)
    if len({loop.name for loop in loops}) < len(loops):
        return False
    return not any(loop.fixed(source) & inside for loop in loops)
