"""Counted loops of C programs: which they are, and what their bodies change."""

from __future__ import annotations

from dataclasses import dataclass

from breeder.proposers.edits.layout import indent_of
from breeder.proposers.languages import words
from breeder.proposers.trees import Node, Source

JUMPS = words("break_statement continue_statement return_statement goto_statement")
"""Statements that may leave an iteration early."""

_PLAIN = words(
    "identifier number_literal binary_expression field_expression field_identifier "
    "parenthesized_expression"
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A loop that counts upwards to a bound which its body leaves alone, as it does the counter.

    Attributes:
        node: the whole loop; `body`: the statement that it repeats.
        name: the counter.
        type: of the counter where the loop declares it; b"" where it is declared before.
        start: first value; None where the counter keeps the one it has.
        bound: the value that the counter must stay below.
        step: text of the step: b"1", or what stands behind `+=`.
    """

    node: Node
    body: Node
    name: bytes
    type: bytes
    start: Node | None
    bound: Node
    step: bytes

    def jumps(self, kinds: frozenset[str]) -> bool:
        """Whether a jump of one of the kinds stands anywhere in the body."""
        return any(n.type in kinds for n in self.body.walk())

    def fixed(self, source: Source) -> set[bytes]:
        """Names that start, bound and step are made of."""
        found = names(source, self.bound) | {self.step}
        return found | names(source, self.start) if self.start is not None else found

    def statements(self, source: Source) -> list[Node]:
        """The statements of the body."""
        if self.body.type != "compound_statement":
            return [self.body]
        return [c for c in self.body.named_children() if c.type not in source.table.comments]

    def head(self, source: Source) -> bytes:
        """The text up to the closing parenthesis of the range."""
        closing = [c.end for c in self.node.children if c.type == ")"]
        return source.text[self.node.begin : closing[-1]]


def counted(source: Source, node: Node) -> Counted | None:
    """Read a loop; None when it is not one of those that count."""
    condition, update, body = node.child("condition"), node.child("update"), node.child("body")
    if node.type != "for_statement" or condition is None or update is None or body is None:
        return None
    name, bound = _compared(source, condition)
    step = _step(source, update, name)
    begun = _begun(source, node.child("initializer"), name)
    if bound is None or step is None or begun is None:
        return None
    kind, start = begun
    loop = Counted(node, body, name, kind, start, bound, step)
    plain = is_plain(bound) and (start is None or is_plain(start))
    return loop if plain and not changed(source, body) & (loop.fixed(source) | {name}) else None


def counted_loops(source: Source, statements: list[Node]) -> list[Counted]:
    """The counted loops among statements that begin a line and stand behind no pragma.

    Not those within a loop that goes on with a counter: what tiles and lanes are made of, and what
    fills none of them.
    """
    return [
        loop
        for node in statements
        if node.type == "for_statement"
        and indent_of(source, node) is not None
        and pragma_of(source, node) is None
        and not goes_on(node)
        and (loop := counted(source, node)) is not None
    ]


def goes_on(node: Node) -> bool:
    """Whether a statement stands within a loop that takes up a counter where it is."""
    return any(
        one.type == "for_statement" and one.child("initializer") is None for one in node.ancestors()
    )


def pragma_of(source: Source, node: Node) -> Node | None:
    """The pragma right before a statement."""
    before = (
        node.parent.children[node.index - 1] if node.parent is not None and node.index else None
    )
    if before is None or before.type != "preproc_call":
        return None
    return before if source.of(before).startswith(b"#pragma") else None


def begun(source: Source, node: Node) -> int:
    """Where a statement begins, with the pragma before it."""
    pragma = pragma_of(source, node)
    return node.begin if pragma is None else pragma.begin


def names(source: Source, node: Node) -> set[bytes]:
    """Identifiers in a node."""
    return {source.of(n) for n in node.walk() if n.type == "identifier"}


def declared(source: Source, statements: list[Node]) -> set[bytes]:
    """Names that the declarations among statements bind."""
    found: set[bytes] = set()
    for statement in statements:
        if statement.type == "declaration":
            for declarator in statement.all("declarator"):
                found |= names(source, declarator.child("declarator") or declarator)
    return found


def changed(source: Source, node: Node) -> set[bytes]:
    """Names of the variables that are assigned, counted up or pointed to; not those of arrays."""
    found: set[bytes] = set()
    for inner in node.walk():
        if inner.type == "assignment_expression":
            target = inner.child("left")
        elif inner.type in {"update_expression", "pointer_expression"}:
            target = inner.child("argument")
        else:
            continue
        while target is not None and target.type in {
            "field_expression",
            "parenthesized_expression",
        }:
            target = target.child("argument") or target.named_children()[0]
        if target is not None and target.type == "identifier":
            found.add(source.of(target))
    return found


def _compared(source: Source, condition: Node) -> tuple[bytes, Node | None]:
    left, right = condition.child("left"), condition.child("right")
    operator = condition.child("operator")
    if left is None or operator is None or operator.type != "<" or left.type != "identifier":
        return b"", None
    return source.of(left), right


def _step(source: Source, update: Node, name: bytes) -> bytes | None:
    operator = update.child("operator")
    target = update.child("argument") or update.child("left")
    if operator is None or target is None or source.of(target) != name:
        return None
    if operator.type == "++":
        return b"1"
    step = update.child("right")
    plain = step is not None and step.type in {"identifier", "number_literal"}
    return source.of(step) if step is not None and plain and operator.type == "+=" else None


def _begun(
    source: Source, initializer: Node | None, name: bytes
) -> tuple[bytes, Node | None] | None:
    """Type of the counter (b"" when it is declared before) and its start."""
    if initializer is None:
        return b"", None
    if initializer.type == "assignment_expression":
        target, value = initializer.child("left"), initializer.child("right")
        kind = b""
    else:
        declarators, kind_node = initializer.all("declarator"), initializer.child("type")
        if len(declarators) != 1 or kind_node is None:
            return None
        target, value = declarators[0].child("declarator"), declarators[0].child("value")
        kind = source.of(kind_node)
    if target is None or value is None or source.of(target) != name:
        return None
    return kind, value


def is_plain(node: Node) -> bool:
    """Whether an expression may be written twice: nothing but names, numbers and arithmetic."""
    return all(n.type in _PLAIN for n in node.walk() if n.named)
