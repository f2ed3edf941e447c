"""Sites: the nodes of a source that an edit may change, found once per source."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from breeder.proposers.scope import scope, use
from breeder.proposers.trees import Node, Source

_SEQUENCES = frozenset({"list", "tuple", "list_comprehension"})
_ITERATING = frozenset({b"len", b"enumerate", b"zip", b"sorted", b"list", b"tuple", b"set", b"sum"})
_WHOLE = frozenset({b"%", b"<<", b">>", b"&", b"|", b"^"})
_BASES = frozenset({"value", "object", "argument"})


@dataclass(slots=True)
class Sites:
    """Evolvable nodes by role, each in the order of the text.

    Attributes:
        expressions: values that may be replaced by others.
        groups: the same by the kind of value wanted: condition, sequence, index, number.
        statements: whole statements that stand in a block, docstrings left out.
        operations: nodes with an operator field, assignments included.
        numbers: number literals.
        names: identifiers that are read, callees included.
        accesses: attribute accesses and subscripts.
        functions: function definitions.
    """

    expressions: list[Node] = field(default_factory=list)
    groups: dict[str, list[Node]] = field(default_factory=dict)
    statements: list[Node] = field(default_factory=list)
    operations: list[Node] = field(default_factory=list)
    numbers: list[Node] = field(default_factory=list)
    names: list[Node] = field(default_factory=list)
    accesses: list[Node] = field(default_factory=list)
    functions: list[Node] = field(default_factory=list)


@lru_cache(maxsize=256)
def sites(source: Source) -> Sites:
    """The sites of a source, made once."""
    found = Sites()
    _collect(source, source.root, found, target=False)
    reads = scope(source).reads
    found.names = [n for n in reads if source.evolvable(n)]
    return found


def group(source: Source, node: Node) -> str:
    """The kind of value wanted at a node, or given by it."""
    if node.type in source.table.conditions:
        return "condition"
    if node.type in _SEQUENCES:
        return "sequence"
    wanted = use(source, node)
    if wanted in {"condition", "sequence", "index"}:
        return wanted
    if _operator(source, node) in source.table.comparisons:
        return "condition"
    if node.type == "identifier" and _is_sequence(source, node):
        return "sequence"
    if wanted == "argument" and node.parent is not None:
        return _argument(source, node.parent)
    return "index" if _within_index(source, node) else "number"


def _argument(source: Source, arguments: Node) -> str:
    """The kind of value that an argument list of a built-in wants."""
    call = arguments.parent
    callee = call.child("function") if call is not None else None
    name = source.of(callee) if callee is not None else b""
    if source.table.family != "python":
        return "number"
    return "index" if name == b"range" else "sequence" if name in _ITERATING else "number"


def _within_index(source: Source, node: Node) -> bool:
    """Whether a value is part of an index, or an operand of an operator on integers."""
    for ancestor in (node, *node.ancestors()):
        parent = ancestor.parent
        if parent is None or ancestor.type not in source.table.expressions:
            return False
        if _operator(source, parent) in _WHOLE or use(source, ancestor) == "index":
            return True
        if ancestor.type in {"call", "call_expression"}:
            return False
        if parent.type == "argument_list" and _argument(source, parent) == "index":
            return True
    return False


def _operator(source: Source, node: Node) -> bytes:
    operator = node.child("operator")
    return source.of(operator) if operator is not None else b""


def _is_sequence(source: Source, node: Node) -> bool:
    name = source.of(node)
    return any(b.name == name and b.type == "sequence" for b in scope(source).bindings)


def _collect(source: Source, node: Node, found: Sites, *, target: bool) -> None:
    table = source.table
    if node.type in table.opaque:
        return
    if not any(node.begin < end and begin < node.end for begin, end in source.regions):
        return
    parent = node.parent
    if parent is not None and source.evolvable(node):
        target = _is_target(source, node) or (target and node.field in _BASES)
        _classify(source, node, found, target=target)
    for child in node.children:
        _collect(source, child, found, target=target)


def _is_target(source: Source, node: Node) -> bool:
    parent = node.parent
    if parent is None:
        return False
    targets = source.table.targets
    if (parent.type, node.field) in targets:
        return True
    # A plain expression statement has no value to replace, but its parts may have.
    return parent.type == "expression_statement" and node.named


def _is_statement(source: Source, node: Node) -> bool:
    table, parent = source.table, node.parent
    if node.type not in table.statements or parent is None or parent.type not in table.blocks:
        return False
    return not (table.family == "python" and node.children[0].type == "string")


def _classify(source: Source, node: Node, found: Sites, *, target: bool) -> None:
    table = source.table
    kind = node.type
    if kind in table.expressions and not target:
        found.expressions.append(node)
        found.groups.setdefault(group(source, node), []).append(node)
    if _is_statement(source, node):
        found.statements.append(node)
    if node.child("operator") is not None or node.child("operators") is not None:
        found.operations.append(node)
    if kind in table.integers or kind in table.floats:
        found.numbers.append(node)
    if kind in table.functions:
        found.functions.append(node)
    if kind in {"attribute", "field_expression", "subscript", "subscript_expression"}:
        found.accesses.append(node)
