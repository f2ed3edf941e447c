"""Syntax trees of programs: plain nodes over bytes, with the places that an edit may touch.

Parsing is shared: a text is parsed once and its analysis kept while it is in use, so that the
check of a child, its fingerprint and its later life as a parent cost one parse together.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache

import tree_sitter

from breeder.proposers.languages import Language, language
from breeder.proposers.proposer import Grammar
from breeder.regions import MarkerError, evolvable

LARGEST = 256 * 1024
"""Texts above this many bytes are treated as having no grammar: a parse would cost too much."""

DEEPEST = 200
"""Trees deeper than this are treated as unparsable; it bounds every recursion over a tree."""


class Node:
    """One node of a syntax tree.

    Attributes:
        type: the grammar's name of it, or the token itself when it is not `named`.
        begin, end: byte offsets.
        field: name of the parent's field that holds it, or "".
        children: all children, tokens and comments included.
        parent: None for the root.
        index: position among the parent's children.
    """

    __slots__ = ("begin", "children", "end", "field", "index", "named", "parent", "type")

    def __init__(self, raw: tree_sitter.Node, field: str, parent: Node | None) -> None:
        self.type = raw.type
        self.named = raw.is_named
        self.begin = raw.start_byte
        self.end = raw.end_byte
        self.field = field
        self.parent = parent
        self.children: list[Node] = []
        self.index = 0
        if parent is not None:
            self.index = len(parent.children)
            parent.children.append(self)

    def child(self, field: str) -> Node | None:
        """The first child that stands in a field."""
        return next((c for c in self.children if c.field == field), None)

    def all(self, field: str) -> list[Node]:
        """Every child that stands in a field."""
        return [c for c in self.children if c.field == field]

    def named_children(self) -> list[Node]:
        """The children that are not mere tokens."""
        return [c for c in self.children if c.named]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()

    def ancestors(self) -> Iterator[Node]:
        """The parent, its parent and so on up to the root."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def contains(self, other: Node) -> bool:
        """Whether `other` lies within this node's span."""
        return self.begin <= other.begin and other.end <= self.end


class Source:
    """One parsed file: bytes, tree and the evolvable byte ranges.

    Attributes:
        text: the file in UTF-8.
        table: its language.
        root: the tree.
        regions: evolvable [begin, end) byte ranges.
        newline: how the file ends its lines.
    """

    def __init__(
        self, text: bytes, table: Language, root: Node, regions: tuple[tuple[int, int], ...]
    ) -> None:
        self.text = text
        self.table = table
        self.root = root
        self.regions = regions
        self.newline = b"\r\n" if b"\r\n" in text else b"\n"

    def of(self, node: Node) -> bytes:
        """The text of a node."""
        return self.text[node.begin : node.end]

    def evolvable(self, node: Node) -> bool:
        """Whether the whole node lies in an evolvable region."""
        return any(begin <= node.begin and node.end <= end for begin, end in self.regions)

    def function(self, node: Node) -> Node | None:
        """The innermost function definition that holds the node."""
        return next((a for a in node.ancestors() if a.type in self.table.functions), None)

    def place(self, node: Node) -> str:
        """Where the node is, for a note: `in score()`, or `at top level`."""
        function = self.function(node)
        name = function_name(self, function) if function is not None else b""
        return f"in {name.decode(errors='replace')}()" if name else "at top level"


def function_name(source: Source, function: Node) -> bytes:
    """The name of a function definition, without its class or namespace; b"" when it has none."""
    node: Node | None = function.child("name")
    if node is None:
        node = function.child("declarator")
        while node is not None and (inner := node.child("declarator")) is not None:
            node = inner
        if node is not None and node.type == "qualified_identifier":
            node = node.child("name")
    return source.of(node) if node is not None else b""


def encode(text: str) -> bytes:
    """UTF-8, with lone surrogates kept so that strange texts survive a round trip."""
    return text.encode("utf-8", "surrogatepass")


def decode(text: bytes) -> str:
    """The inverse of `encode`."""
    return text.decode("utf-8", "surrogatepass")


@lru_cache(maxsize=64)
def raw_tree(text: bytes, name: str) -> tree_sitter.Tree | None:
    """Parse; None when there is no grammar or the text is too large. Errors stay in the tree."""
    table = language(name)
    if table is None or len(text) > LARGEST:
        return None
    return table.parser().parse(text)


def byte_regions(text: str, *, whole: bool) -> tuple[tuple[int, int], ...]:
    """Evolvable regions in byte offsets; none when the markers are damaged."""
    try:
        regions = evolvable(text, whole=whole)
    except MarkerError:
        return ()
    if text.isascii():
        return tuple((r.begin, r.end) for r in regions)
    return tuple((len(encode(text[: r.begin])), len(encode(text[: r.end]))) for r in regions)


@lru_cache(maxsize=256)
def read(text: str, name: str, *, whole: bool) -> Source | None:
    """Parse a file for editing; None when it does not parse or has no grammar."""
    table = language(name)
    data = encode(text)
    tree = raw_tree(data, name)
    if table is None or tree is None or tree.root_node.has_error:
        return None
    root = _copy(tree)
    if root is None:
        return None
    return Source(data, table, root, byte_regions(text, whole=whole))


def sources(files: Mapping[str, str], grammar: Grammar) -> dict[str, Source]:
    """The files that can be edited as trees: path -> source."""
    found: dict[str, Source] = {}
    for path, text in files.items():
        source = read(text, grammar.languages.get(path, "text"), whole=grammar.whole)
        if source is not None and source.regions:
            found[path] = source
    return found


def parses(text: bytes, name: str) -> bool:
    """Whether a text is free of syntax errors; Python is compiled too, and never run.

    True for languages without a grammar and for texts above `LARGEST`, of which nothing is known.
    """
    tree = raw_tree(text, name)
    if tree is not None and tree.root_node.has_error:
        return False
    return name != "python" or len(text) > LARGEST or _compiles(text)


def _compiles(text: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            # Odd but valid code (`1 is x`, "\d") warns; that is the candidate's own affair.
            warnings.simplefilter("ignore")
            compile(text, "<candidate>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def _copy(tree: tree_sitter.Tree) -> Node | None:
    cursor = tree.walk()
    assert cursor.node is not None
    root = node = Node(cursor.node, "", None)
    depth = 0
    while True:
        if cursor.goto_first_child():
            depth += 1
            parent = node
            if depth > DEEPEST:
                return None
        else:
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent() or node.parent is None:
                    return root
                depth -= 1
                node = node.parent
            if node.parent is None:
                return root
            parent = node.parent
        assert cursor.node is not None
        node = Node(cursor.node, cursor.field_name or "", parent)
