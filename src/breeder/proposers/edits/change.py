"""What an edit is: a few text changes with a note, made from a source, a scope and donors."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from breeder.proposers.languages import words
from breeder.proposers.scope import Scope, scope
from breeder.proposers.sites import Sites, sites
from breeder.proposers.trees import Node, Source

_ATOMS = words(
    "identifier integer float number_literal call call_expression attribute subscript list tuple "
    "parenthesized_expression list_comprehension field_expression subscript_expression true "
    "false"
)
_LOOSE = re.compile(rb"[?:&|^=\n]|\b(?:and|or|not|if|lambda|in|is)\b")
_COMPARING = re.compile(rb"[<>]")
_TIGHT = words(
    "binary_operator unary_operator comparison_operator boolean_operator not_operator attribute "
    "subscript conditional_expression binary_expression unary_expression cast_expression "
    "field_expression subscript_expression call call_expression await"
)


class Change(NamedTuple):
    """Replace the bytes [begin, end) by `text`."""

    begin: int
    end: int
    text: bytes


class Edit(NamedTuple):
    """Changes that belong together, and a line that says what they do."""

    changes: tuple[Change, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Material:
    """What an edit works with.

    Attributes:
        source: the file to change.
        donors: sources of the same language to take code from, the file itself first.
        rng: the only randomness.
    """

    source: Source
    donors: Sequence[Source]
    rng: random.Random

    @property
    def scope(self) -> Scope:
        """Names of the source."""
        return scope(self.source)

    @property
    def sites(self) -> Sites:
        """Places of the source that may be edited."""
        return sites(self.source)

    def donor(self) -> Source:
        """A source to take code from: the file itself half of the time."""
        if len(self.donors) == 1 or self.rng.random() < 0.5:
            return self.source
        return self.rng.choice(self.donors[1:])


EditKind = Callable[[Material], Edit | None]
"""Makes an edit, or declines with None when it finds no place for it."""


def apply(text: bytes, changes: Sequence[Change]) -> bytes | None:
    """Make changes at once; None when two of them overlap."""
    ordered = sorted(changes)
    parts: list[bytes] = []
    position = 0
    for change in ordered:
        if change.begin < position:
            return None
        parts += [text[position : change.begin], change.text]
        position = change.end
    return b"".join([*parts, text[position:]])


def fitted(text: bytes, target: Node, *, atom: bool) -> bytes:
    """Text to stand in the place of `target`, in parentheses where it could bind wrongly."""
    parent = target.parent
    if atom or parent is None or parent.type not in _TIGHT:
        return text
    if target.field in {"subscript", "index"} or _level(text) >= _needed(parent):
        return text
    return b"(" + text + b")"


def bracketed(text: bytes) -> bytes:
    """Text in parentheses unless it is plain arithmetic or a comparison, for `and` and `or`."""
    return text if _level(text) >= 1 else b"(" + text + b")"


def _level(text: bytes) -> int:
    """How tightly a text surely binds: 2 plain arithmetic, 1 comparison, 0 anything else."""
    if _LOOSE.search(text):
        return 0
    return 1 if _COMPARING.search(text) else 2


def _needed(parent: Node) -> int:
    """The level that an operand needs: 3 is an atom."""
    if parent.type in {"boolean_operator", "conditional_expression"}:
        return 1
    if parent.type == "comparison_operator":
        return 2
    operator = parent.child("operator")
    if parent.type == "binary_expression" and operator is not None:
        return {"&&": 1, "||": 1, "<": 2, "<=": 2, ">": 2, ">=": 2}.get(operator.type, 3)
    return 3


def is_atom(node: Node) -> bool:
    """Whether an expression never needs parentheses around it."""
    return node.type in _ATOMS


def short(text: bytes, limit: int = 48) -> str:
    """Text for a note, on one line."""
    line = " ".join(text.decode("utf-8", "replace").split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def replacing(material: Material, node: Node, text: bytes, what: str) -> Edit | None:
    """The edit that puts `text` in the place of a node; None when nothing would change."""
    source = material.source
    old = source.of(node)
    if text == old:
        return None
    note = f"{what} {source.place(node)}: {short(old)} -> {short(text)}"
    return Edit((Change(node.begin, node.end, text),), note)
