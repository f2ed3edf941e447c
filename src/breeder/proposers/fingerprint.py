"""Fingerprints: equal for programs that differ in comments, layout or spelling only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

import tree_sitter

from breeder.proposers.languages import Language, language
from breeder.proposers.proposer import Grammar
from breeder.proposers.trees import DEEPEST, byte_regions, encode, raw_tree

_WORD = re.compile(rb"\w+|[^\w\s]+")


class Fingerprint(NamedTuple):
    """What identifies a program up to comments and layout.

    Attributes:
        digest: 128-bit hash, hexadecimal, of the normalised evolvable regions and the frozen text.
        size: named syntax-tree nodes in the evolvable regions, comments not counted; words where
            the file has no grammar or does not parse.
        parses: no syntax error was found; always True for a language without a grammar.
    """

    digest: str
    size: int
    parses: bool


def fingerprint(files: Mapping[str, str], grammar: Grammar) -> Fingerprint:
    """Fingerprint a program.

    Comments, docstrings, layout, redundant parentheses and the spelling of numbers (`1.` and `1.0`)
    do not count. Files whose language has no grammar are compared with white space collapsed.
    Never raises for a strange text.
    """
    hasher = hashlib.blake2b(digest_size=16)
    size = 0
    parse = True
    for path in sorted(files):
        text = files[path]
        regions = byte_regions(text, whole=grammar.whole)
        data = encode(text)
        hasher.update(b"\0file\0" + encode(path))
        for begin, end in _frozen(regions, len(data)):
            hasher.update(b"\0frozen\0" + data[begin:end])
        name = grammar.languages.get(path, "text")
        tokens, nodes, sound = _normalise(data, name, regions)
        hasher.update(b"\0evolvable\0" + b"\0".join(tokens))
        size += nodes
        parse = parse and sound and bool(regions)
    return Fingerprint(hasher.hexdigest(), size, parse)


def _frozen(regions: tuple[tuple[int, int], ...], length: int) -> list[tuple[int, int]]:
    edges = [0, *(edge for region in regions for edge in region), length]
    return [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]


def _normalise(
    data: bytes, name: str, regions: tuple[tuple[int, int], ...]
) -> tuple[list[bytes], int, bool]:
    tree = raw_tree(data, name)
    table = language(name)
    if tree is not None and table is not None and not tree.root_node.has_error:
        walk = _Walk(data, table, regions)
        if walk.visit(tree.root_node, 0):
            return walk.tokens, walk.size, True
    words = [w for begin, end in regions for w in (b"\n", *_WORD.findall(data[begin:end]))]
    return words, len(words) - len(regions), tree is None or not tree.root_node.has_error


class _Walk:
    """Collects normalised tokens and brackets for structure, so that indentation counts."""

    def __init__(self, data: bytes, table: Language, regions: tuple[tuple[int, int], ...]) -> None:
        self.data = data
        self.regions = regions
        self.comments = table.comments
        self.numbers = table.integers | table.floats
        self.python = table.family == "python"
        self.tokens: list[bytes] = []
        self.size = 0

    def visit(self, node: tree_sitter.Node, depth: int) -> bool:
        """Walk a node that straddles regions. False when the tree is too deep to walk."""
        begin, end = node.start_byte, node.end_byte
        if depth > DEEPEST:
            return False
        if any(b <= begin and end <= e for b, e in self.regions):
            return self.collect(node, depth)
        if not any(begin < e and b < end for b, e in self.regions):
            return True
        return all(self.visit(child, depth + 1) for child in node.children)

    def collect(self, node: tree_sitter.Node, depth: int) -> bool:
        """Take in a node that lies within a region."""
        kind = node.type
        if kind in self.comments or depth > DEEPEST:
            return depth <= DEEPEST
        children = node.children
        if kind == "parenthesized_expression" and len(children) == 3:
            return self.collect(children[1], depth + 1)
        if self.python and kind == "expression_statement" and children[0].type == "string":
            return True
        if node.is_named:
            self.size += 1
        if not children:
            self.leaf(node, kind)
            return True
        self.tokens.append(b"(" + kind.encode())
        for child in children:
            if not self.collect(child, depth + 1):
                return False
        self.tokens.append(b")")
        return True

    def leaf(self, node: tree_sitter.Node, kind: str) -> None:
        """Take in a token."""
        text = self.data[node.start_byte : node.end_byte]
        self.tokens.append(_number(text) if kind in self.numbers else text)


def _number(text: bytes) -> bytes:
    spelling = text.lower().replace(b"_", b"").replace(b"'", b"")
    try:
        if spelling.isdigit():
            return spelling
        if not spelling.startswith(b"0x"):
            return repr(float(spelling)).encode()
    except ValueError:
        return spelling
    return spelling
