"""Scope: which names may be used at a node, and what each of them is used for.

Static and cautious: a name counts as visible where it is certainly bound, that is after its binding
and within the block that holds it. Names that a region reads although nothing in the file binds
them (members, macros, built-ins) count as visible in the function that reads them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from breeder.proposers.languages import words
from breeder.proposers.trees import Node, Source

_HOISTING = frozenset({"module", "translation_unit", "field_declaration_list", "declaration_list"})
_LOGICAL = frozenset({"&&", "||", "!", "and", "or"})
_INTEGERS = (b"int", b"size_t", b"long", b"short", b"unsigned", b"char", b"bool", b"ptrdiff_t")
_FLOATS = (b"float", b"double")

NUMERIC = frozenset({"integer", "float"})
"""Types of bindings that are single numbers."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A name and where it holds.

    Attributes:
        name: the identifier.
        kind: `value`, `function`, `module` or `class`.
        type: `integer`, `float`, `boolean`, `sequence` or "" when unknown; for a module its full
            name.
        holder: the node within which it is visible.
        begin: byte from which it is visible.
    """

    name: bytes
    kind: str
    type: str
    holder: Node
    begin: int


class Scope:
    """The bindings and uses of names in one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.bindings: list[Binding] = []
        self.uses: dict[bytes, Counter[str]] = {}
        self.reads: list[Node] = []
        bind = _bind_python if source.table.family == "python" else _bind_c
        for node in source.root.walk():
            bind(self, node)
        for node in source.root.walk():
            if is_read(source, node):
                self.reads.append(node)
                self.uses.setdefault(source.of(node), Counter())[use(source, node)] += 1
        bound = {b.name for b in self.bindings}
        self.unbound = [n for n in self.reads if source.of(n) not in bound]

    def add(
        self, name: Node, holder: Node, begin: int, kind: str = "value", type: str = ""
    ) -> None:
        """Record a binding."""
        self.bindings.append(Binding(self.source.of(name), kind, type, holder, begin))

    def visible(self, node: Node) -> dict[bytes, Binding]:
        """The names that may be used at a node, innermost binding each, in order of binding."""
        function = self.source.function(node)
        found: dict[bytes, Binding] = {}
        unready: dict[bytes, None] = {}
        for b in self.bindings:
            inside = b.holder.contains(node)
            if inside and (b.begin <= node.begin or self._hoisted(b, node, function)):
                found[b.name] = b
                unready.pop(b.name, None)
            elif function is not None and function.contains(b.holder):
                unready[b.name] = None
        for name in unready:
            # The function binds the name, so that an outer one of the same name is shadowed.
            kept = found.get(name)
            if kept is not None and not (function and function.contains(kept.holder)):
                del found[name]
        self._add_unbound(function, found)
        return found

    def _add_unbound(self, function: Node | None, found: dict[bytes, Binding]) -> None:
        if function is None:
            return
        for read in self.unbound:
            if function.contains(read):
                name = self.source.of(read)
                kind = "function" if use(self.source, read) == "callee" else "value"
                found.setdefault(name, Binding(name, kind, "", function, function.begin))

    def _hoisted(self, binding: Binding, node: Node, function: Node | None) -> bool:
        if binding.holder.type == "field_declaration_list":
            return True
        python = self.source.table.family == "python"
        return (
            python
            and function is not None
            and binding.holder.type in _HOISTING
            and not function.contains(binding.holder)
        )

    def numbers(self, node: Node) -> list[bytes]:
        """Visible names that look like numbers or arrays used as such, local ones first.

        What is declared a number is one, even where the program does not use it yet.
        """
        names = [
            b.name
            for b in self.visible(node).values()
            if b.kind == "value"
            and b.type != "sequence"
            and (b.type in NUMERIC or self.numeric(b.name))
        ]
        return names[::-1]

    def numeric(self, name: bytes) -> bool:
        """Whether a name is mostly used as a number (or a numeric array)."""
        uses = self.uses.get(name)
        if not uses:
            return False
        if self.source.table.family == "python" and not uses["number"] + uses["index"]:
            return False
        good = uses["number"] + uses["value"] + 0.5 * uses["argument"] + uses["index"]
        bad = uses["base"] + uses["condition"]
        if self.source.table.family != "python":
            bad += 2 * uses["sequence"]
        return good > bad


@lru_cache(maxsize=256)
def scope(source: Source) -> Scope:
    """The scope analysis of a source, made once."""
    return Scope(source)


def is_read(source: Source, node: Node) -> bool:
    """Whether a node is an identifier that stands for a value read there."""
    parent = node.parent
    if node.type != "identifier" or parent is None:
        return False
    if (parent.type, node.field) in _NAMES:
        return False
    return not any(a.type in _DECLARING for a in (parent, *_upper(parent)))


def _upper(node: Node) -> tuple[Node, ...]:
    upper = node.parent
    return () if upper is None else (upper,) if upper.parent is None else (upper, upper.parent)


_NAMES = frozenset(
    [
        ("attribute", "attribute"),
        ("keyword_argument", "name"),
        ("function_definition", "name"),
        ("class_definition", "name"),
        ("assignment", "left"),
        ("for_statement", "left"),
        ("for_in_clause", "left"),
        ("named_expression", "name"),
        ("init_declarator", "declarator"),
        ("declaration", "declarator"),
        ("for_range_loop", "declarator"),
        ("preproc_def", "name"),
        ("preproc_function_def", "name"),
    ]
)
_DECLARING = words(
    "parameters lambda_parameters dotted_name aliased_import pattern_list tuple_pattern "
    "as_pattern_target parameter_declaration array_declarator pointer_declarator "
    "reference_declarator function_declarator global_statement nonlocal_statement "
    "qualified_identifier template_function preproc_params type labeled_statement goto_statement"
)


def use(source: Source, node: Node) -> str:
    """What the value at a node is used as.

    One of `condition`, `sequence`, `index`, `number`, `argument`, `value`, `callee` and `base`
    (of an attribute).
    """
    parent = node.parent
    if parent is None:
        return "value"
    kind, slot = parent.type, node.field
    contexts = source.table.contexts
    if kind == "parenthesized_expression":
        outer = parent.parent.type if parent.parent is not None else ""
        return contexts.get((outer, parent.field)) or use(source, parent)
    if kind == "conditional_expression" and source.table.family == "python":
        return "condition" if _middle(node, parent) else use(source, parent)
    if _logical(source, parent):
        return "condition"
    found = contexts.get((kind, slot)) or contexts.get((kind, ""))
    return found or _OTHER_USES.get((kind, slot)) or _OTHER_USES.get((kind, ""), "value")


_OTHER_USES = {
    ("call", "function"): "callee",
    ("call_expression", "function"): "callee",
    ("argument_list", ""): "argument",
    ("keyword_argument", ""): "argument",
    ("attribute", ""): "base",
    ("field_expression", ""): "base",
}


def _middle(node: Node, parent: Node) -> bool:
    named = parent.named_children()
    return len(named) > 1 and named[1] is node


def _logical(source: Source, node: Node) -> bool:
    operator = node.child("operator")
    return operator is not None and operator.type in _LOGICAL


def _holder(source: Source, node: Node) -> Node:
    return next((a for a in node.ancestors() if a.type in source.table.scopes), source.root)


def _identifiers(node: Node) -> list[Node]:
    return [n for n in node.walk() if n.type == "identifier"]


def _bind_python(scope: Scope, node: Node) -> None:
    kind = node.type
    if kind in _PYTHON_BINDERS:
        _PYTHON_BINDERS[kind](scope, node)


def _bind_assignment(scope: Scope, node: Node) -> None:
    left = node.child("left")
    if left is not None and left.type in {"identifier", "pattern_list", "tuple_pattern"}:
        names = [left] if left.type == "identifier" else left.named_children()
        right = node.child("right")
        kind = right.type if right is not None and right.type in {"integer", "float"} else ""
        for name in names:
            if name.type == "identifier":
                scope.add(name, _holder(scope.source, node), node.end, type=kind)


def _bind_function(scope: Scope, node: Node) -> None:
    holder = _holder(scope.source, node)
    kind = "function" if node.type == "function_definition" else "class"
    name = node.child("name")
    if name is not None:
        scope.add(name, holder, node.begin, kind)


def _bind_parameters(scope: Scope, node: Node) -> None:
    owner = node.parent
    if owner is None:
        return
    for parameter in node.named_children():
        name: Node = parameter.child("name") or parameter
        if name.type != "identifier":
            name = next((n for n in name.walk() if n.type == "identifier"), name)
        if name.type == "identifier":
            annotation = parameter.child("type")
            text = scope.source.of(annotation) if annotation is not None else b""
            scope.add(name, owner, node.begin, "value", _annotated(text))


def _annotated(text: bytes) -> str:
    """The type that a Python annotation states."""
    known = {b"int": "integer", b"float": "float", b"bool": "boolean"}
    if text in known:
        return known[text]
    sequence = any(word in text.lower() for word in (b"list", b"dict", b"tuple", b"str"))
    return "sequence" if sequence else ""


def _bind_loop(scope: Scope, node: Node) -> None:
    left, right, holder = node.child("left"), node.child("right"), node.parent
    if left is None or right is None or holder is None:
        return
    within = node.child("body") if node.type == "for_statement" else holder
    for name in _identifiers(left) if left.type != "subscript" else []:
        scope.add(name, within or holder, (within or holder).begin)


def _bind_import(scope: Scope, node: Node) -> None:
    holder = _holder(scope.source, node)
    kind = "module" if node.type == "import_statement" else "function"
    for item in node.all("name"):
        full = item.child("name") or item
        alias = item.child("alias") or (full.children[0] if full.children else full)
        module = scope.source.of(full).decode(errors="replace") if kind == "module" else ""
        scope.add(alias, holder, node.end, kind, module)


def _bind_target(scope: Scope, node: Node) -> None:
    name = node.child("name") if node.type == "named_expression" else node.children[0]
    if name is not None and name.type == "identifier":
        scope.add(name, _holder(scope.source, node), node.end)


_PYTHON_BINDERS = {
    "assignment": _bind_assignment,
    "function_definition": _bind_function,
    "class_definition": _bind_function,
    "parameters": _bind_parameters,
    "lambda_parameters": _bind_parameters,
    "for_statement": _bind_loop,
    "for_in_clause": _bind_loop,
    "import_statement": _bind_import,
    "import_from_statement": _bind_import,
    "as_pattern_target": _bind_target,
    "named_expression": _bind_target,
}


def _bind_c(scope: Scope, node: Node) -> None:
    kind = node.type
    if kind in {"declaration", "field_declaration", "for_range_loop"}:
        for declarator in node.all("declarator"):
            end = declarator.end if kind == "declaration" else node.begin
            _declare(scope, node, declarator, _holder(scope.source, declarator), end)
    elif kind == "parameter_declaration":
        owner = scope.source.function(node)
        declared = node.child("declarator")
        if owner is not None and declared is not None:
            _declare(scope, node, declared, owner, node.begin)
    elif kind == "function_definition":
        declared = node.child("declarator")
        if declared is not None:
            _declare(scope, node, declared, _holder(scope.source, node), node.begin)
    elif kind in {"preproc_def", "preproc_function_def"}:
        name = node.child("name")
        if name is not None:
            what = "value" if kind == "preproc_def" else "function"
            scope.add(name, scope.source.root, node.end, what)


def _declare(scope: Scope, node: Node, declarator: Node, holder: Node, begin: int) -> None:
    inner: Node | None = declarator
    shape = "value"
    sequence = False
    while inner is not None and inner.type not in {"identifier", "field_identifier"}:
        if inner.type == "function_declarator":
            shape = "function"
        sequence = sequence or inner.type in {"pointer_declarator", "array_declarator"}
        # A reference has no field for what it declares.
        plain = next((c for c in inner.children if c.type in _DECLARATORS), None)
        inner = inner.child("declarator") or plain
    if inner is None:
        return
    kind = "" if shape == "function" else _c_type(scope.source, node, sequence=sequence)
    scope.add(inner, holder, begin, shape, kind)


_DECLARATORS = words(
    "identifier field_identifier pointer_declarator array_declarator function_declarator"
)


def _c_type(source: Source, node: Node, *, sequence: bool) -> str:
    declared = node.child("type")
    text = source.of(declared) if declared is not None else b""
    if sequence or b"<" in text or b"*" in text:
        return "sequence"
    if any(word in text for word in _FLOATS):
        return "float"
    return "integer" if any(word in text for word in _INTEGERS) else ""
