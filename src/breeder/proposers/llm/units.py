"""The pieces of a program text: functions, classes, imports and constants, frozen or evolvable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from breeder.proposers.trees import Node, Source, function_name

_WRAPPERS = frozenset(
    {"linkage_specification", "declaration_list", "namespace_definition", "preproc_if",
     "preproc_ifdef", "preproc_else"}
)  # fmt: skip
_CLASSES = frozenset({"class_definition", "class_specifier", "struct_specifier"})
_IMPORTS = frozenset(
    {"import_statement", "import_from_statement", "future_import_statement", "preproc_include",
     "using_declaration"}
)  # fmt: skip
_STRINGS = frozenset({"string", "concatenated_string"})
_WORD = re.compile(rb"[A-Za-z_]\w*")


class Piece(NamedTuple):
    """One top-level piece of a text, or one method.

    Attributes:
        kind: `function`, `class`, `import`, `constant`, `comment` or `other`.
        name: what it binds; b"" where that is nothing or several names.
        owner: the class it is defined in, or b"".
        node: its whole span, decorators and linkage included.
        core: the definition itself.
    """

    kind: str
    name: bytes
    owner: bytes
    node: Node
    core: Node


class Layout(NamedTuple):
    """A parent's text as an answer may change it.

    Attributes:
        targets: evolvable pieces, methods of evolvable classes included.
        frozen: pieces outside the regions.
        inner: (region, the frozen function round it) for regions within a function's body.
    """

    targets: tuple[Piece, ...]
    frozen: tuple[Piece, ...]
    inner: tuple[tuple[tuple[int, int], Node], ...]


def pieces(source: Source) -> list[Piece]:
    """The top-level pieces of a text, in order; methods are not among them."""
    return list(_pieces(source, source.root.children, b""))


def members(source: Source, piece: Piece) -> list[Piece]:
    """The pieces of a class body."""
    body = piece.core.child("body")
    return list(_pieces(source, body.children, piece.name)) if body is not None else []


def layout(source: Source) -> Layout:
    """Tell evolvable from frozen pieces."""
    targets: list[Piece] = []
    frozen: list[Piece] = []
    inner: list[tuple[tuple[int, int], Node]] = []
    stack = pieces(source)[::-1]
    while stack:
        piece = stack.pop()
        if source.evolvable(piece.node):
            targets.append(piece)
            if piece.kind == "class":
                stack += members(source, piece)[::-1]
            continue
        frozen.append(piece)
        held = [r for r in source.regions if piece.node.begin < r[0] and r[1] <= piece.node.end]
        if held and piece.kind == "class":
            stack += members(source, piece)[::-1]
        elif held and piece.kind == "function":
            inner += [(region, piece.core) for region in held]
    return Layout(tuple(targets), tuple(frozen), tuple(inner))


def _pieces(source: Source, nodes: Sequence[Node], owner: bytes) -> Iterator[Piece]:
    for node in nodes:
        if node.type in _WRAPPERS:
            body = node.child("body")
            if body is not None and body.type == "function_definition":
                yield _piece(source, node, body, owner)
            else:
                yield from _pieces(source, (body or node).children, owner)
        elif node.named:
            yield _piece(source, node, node, owner)


def _piece(source: Source, node: Node, core: Node, owner: bytes) -> Piece:
    if core.type in ("decorated_definition", "template_declaration"):
        core = core.child("definition") or core.children[-1]
    kind = core.type
    if kind in source.table.functions:
        return Piece("function", function_name(source, core), owner, node, core)
    if kind in _CLASSES:
        name = core.child("name")
        return Piece("class", source.of(name) if name else b"", owner, node, core)
    if kind in _IMPORTS:
        return Piece("import", b"", owner, node, core)
    if kind in source.table.comments:
        return Piece("comment", b"", owner, node, core)
    return Piece(*_constant(source, core), owner, node, core)


def _constant(source: Source, node: Node) -> tuple[str, bytes]:
    """Kind and name of a piece that binds a value, or says nothing (a docstring)."""
    if node.type == "expression_statement" and node.children:
        inner = node.children[0]
        if inner.type in _STRINGS:
            return "comment", b""
        left = inner.child("left") if inner.type == "assignment" else None
        if left is not None and left.type == "identifier":
            return "constant", source.of(left)
    if node.type in ("preproc_def", "preproc_function_def"):
        name = node.child("name")
        return "constant", source.of(name) if name else b""
    if node.type in ("declaration", "type_definition", "alias_declaration"):
        found = _declared(node)
        return "constant", source.of(found) if found else b""
    return "other", b""


def _declared(node: Node) -> Node | None:
    inner: Node | None = node
    while inner is not None and inner.type not in ("identifier", "type_identifier"):
        inner = inner.child("declarator") or inner.child("name")
    return inner


def tokens(source: Source, node: Node) -> list[bytes]:
    """The words of a node without comments, docstrings and type annotations."""
    if node.type in source.table.comments or (
        source.table.family == "python" and _says_nothing(node)
    ):
        return []
    if not node.children:
        return [source.of(node)]
    return [word for child in node.children for word in tokens(source, child)]


def _says_nothing(node: Node) -> bool:
    if node.type == "expression_statement" and node.children[0].type in _STRINGS:
        return True
    return node.type == "type" or (node.type in ("->", ":") and _before_type(node))


def _before_type(node: Node) -> bool:
    siblings = node.parent.children if node.parent else []
    return node.index + 1 < len(siblings) and siblings[node.index + 1].type == "type"


def identifiers(source: Source, node: Node) -> set[bytes]:
    """Every name in a node; those in comments and texts do not count."""
    found: set[bytes] = set()
    stack = [node]
    while stack:
        node = stack.pop()
        if node.type in source.table.comments or node.type in _STRINGS:
            continue
        if not node.children and _WORD.fullmatch(source.of(node)):
            found.add(source.of(node))
        stack += node.children
    return found


def imported(source: Source, piece: Piece) -> list[bytes]:
    """An import as single statements, one a name, so that they can be compared."""
    node = piece.core
    if node.type == "import_statement":
        return [b"import " + _flat(source, n) for n in node.all("name")]
    if node.type == "import_from_statement":
        module = node.child("module_name")
        head = b"from " + (_flat(source, module) if module else b"") + b" import "
        names = node.all("name") or [c for c in node.children if c.type == "wildcard_import"]
        return [head + _flat(source, n) for n in names]
    if node.type == "future_import_statement":
        return []
    return [_flat(source, node)]


def _flat(source: Source, node: Node) -> bytes:
    return b" ".join(source.of(node).split())


class Signature(NamedTuple):
    """How a function is called.

    Attributes:
        names: parameters by position.
        required: how many of them have no default.
        variadic: it takes any number of further ones.
        asynchronous: it is a coroutine.
        types: C types of parameters and result, without qualifiers and names; else empty.
    """

    names: tuple[bytes, ...]
    required: int
    variadic: bool = False
    asynchronous: bool = False
    types: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        return ", ".join(name.decode(errors="replace") for name in self.names)

    def serves(self, other: Signature) -> bool:
        """Whether calls by position that fit `other` fit this one too."""
        if self.asynchronous != other.asynchronous or self.types != other.types:
            return False
        enough = self.variadic or len(self.names) >= len(other.names)
        return enough and self.required <= other.required


def signature(source: Source, function: Node) -> Signature:
    """Read the parameters of a function definition."""
    if source.table.family == "python":
        return _python_signature(source, function)
    return _c_signature(source, function)


def _python_signature(source: Source, function: Node) -> Signature:
    parameters = function.child("parameters")
    names: list[bytes] = []
    required = 0
    variadic = keywords = False
    for node in parameters.named_children() if parameters else []:
        name = node.child("name") or next((c for c in node.walk() if c.type == "identifier"), node)
        star = node.type == "list_splat_pattern" or any(
            c.type == "list_splat_pattern" for c in node.children
        )
        if node.type in ("comment", "positional_separator", "dictionary_splat_pattern"):
            continue
        if star or node.type == "keyword_separator":
            variadic, keywords = variadic or star, True
            continue
        default = node.type in ("default_parameter", "typed_default_parameter")
        if keywords:
            required += 0 if default else 100  # no call by position can serve it
            continue
        names.append(source.of(name))
        required += 0 if default else 1
    asynchronous = bool(function.children) and function.children[0].type == "async"
    return Signature(tuple(names), required, variadic, asynchronous)


_QUALIFIERS = re.compile(rb"\b(?:const|restrict|__restrict__|__restrict|register|struct)\b|\s+")


def _c_signature(source: Source, function: Node) -> Signature:
    declarator: Node | None = function.child("declarator")
    stars = b""
    while declarator is not None and declarator.type != "function_declarator":
        stars += b"*" if declarator.type == "pointer_declarator" else b""
        declarator = declarator.child("declarator")
    result = function.child("type")
    types = [_QUALIFIERS.sub(b"", source.of(result) if result else b"") + stars]
    names: list[bytes] = []
    parameters = declarator.child("parameters") if declarator else None
    for node in parameters.named_children() if parameters else []:
        name = node.child("declarator")
        inner = next((c for c in node.walk() if c.type == "identifier"), None) if name else None
        text = source.of(node)
        if inner is not None:
            text = text[: inner.begin - node.begin] + text[inner.end - node.begin :]
            names.append(source.of(inner))
        text = _QUALIFIERS.sub(b"", text).replace(b"[]", b"*")
        if text != b"void":
            types.append(text)
    return Signature(tuple(names), len(names), types=tuple(types))
