"""The recombination proposer: combines the parent with an inspiration, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random

from breeder.core import Program
from breeder.proposers.checks import child_text, editable
from breeder.proposers.constants import Constant, Template, template
from breeder.proposers.edits.adaptation import adapted
from breeder.proposers.edits.change import Material, fitted, is_atom, short
from breeder.proposers.edits.layout import indent_of, reindented
from breeder.proposers.edits.statements import JUMPS
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal
from breeder.proposers.sites import sites
from breeder.proposers.trees import (
    Node,
    Source,
    byte_regions,
    decode,
    encode,
    function_name,
    sources,
)

_ATTEMPTS = 12
_Combined = tuple[Mapping[str, str], str]
"""Changed files and a note."""


class RecombinationProposer:
    """Takes something that an inspiration has and the parent has not.

    Programs of one structure blend their constants. Otherwise a function body of the same name, a
    statement, an expression or a condition is grafted where one of the same kind stood, or a whole
    region or file is taken over. Grafts carry only names that are in scope at their new place,
    renamed where necessary. Nothing is offered without an inspiration that differs.
    """

    name = "recombination"

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    async def propose(self, draw: Draw) -> Proposal | None:
        """Combine the parent with one of the inspirations; None when nothing comes of it."""
        parent = draw.parent.program
        others = [e.program for e in draw.inspirations if e.program.files != parent.files]
        if not others or not editable(parent.files, self._grammar):
            return None
        for _ in range(_ATTEMPTS):
            other = draw.rng.choice(others)
            made = self._combine(parent, other, draw.rng)
            if made is None or made[0] in (parent.files, other.files):
                continue
            files = self._checked(parent, made[0])
            if files is not None:
                return Proposal(files, (parent.id, other.id), made[1])
        return None

    def learn(self, outcome: Outcome) -> None:
        """Nothing is learned."""

    def state(self) -> bytes:
        """Nothing is kept."""
        return b""

    def restore(self, state: bytes) -> None:
        """Nothing to take up."""

    def _combine(self, parent: Program, other: Program, rng: Random) -> _Combined | None:
        mine = template(parent.files, self._grammar)
        theirs = template(other.files, self._grammar)
        if mine.key == theirs.key:
            return _blend(mine, theirs, rng)
        if rng.random() < 0.15:
            return _take_region(parent, other, self._grammar, rng)
        left, right = sources(parent.files, self._grammar), sources(other.files, self._grammar)
        shared = [path for path in left if path in right]
        if not shared:
            return _take_region(parent, other, self._grammar, rng)
        path = rng.choice(shared)
        graft = rng.choice(_GRAFTS)
        made = graft(Material(left[path], (left[path], right[path]), rng), right[path])
        if made is None:
            return None
        return {**parent.files, path: decode(made[0])}, made[1]

    def _checked(self, parent: Program, files: Mapping[str, str]) -> dict[str, str] | None:
        checked = dict(parent.files)
        for path, text in files.items():
            before = parent.files.get(path)
            if before is None:
                return None
            if text != before:
                sound = child_text(before, encode(text), path, self._grammar)
                if sound is None:
                    return None
                checked[path] = sound
        return checked


def _blend(mine: Template, theirs: Template, rng: Random) -> _Combined | None:
    pairs = list(zip(mine.constants, theirs.constants, strict=True))
    differing = [i for i, (a, b) in enumerate(pairs) if a[1].text != b[1].text]
    if not differing:
        return None
    mixed = rng.random() < 0.5
    spellings = [a[1].text for a in mine.constants]
    for i in differing:
        a, b = pairs[i][0][1], pairs[i][1][1]
        if mixed:
            spellings[i] = a.spelled(_between(a, b, rng))
        elif rng.random() < 0.5:
            spellings[i] = b.text
    return mine.filled(spellings), f"blend {len(differing)} constants of two programs"


def _between(a: Constant, b: Constant, rng: Random) -> float:
    """A value between two constants or a little beyond, on a log scale for equal signs."""
    share = rng.uniform(-0.25, 1.25)
    if a.value * b.value > 0:
        ratio = b.value / a.value
        return a.value * math.exp(share * math.log(ratio))
    return a.value + share * (b.value - a.value)


def _take_region(
    parent: Program, other: Program, grammar: Grammar, rng: Random
) -> _Combined | None:
    """A region of the other program in the place of the same region of the parent."""
    choices = []
    for path, text in parent.files.items():
        mine = byte_regions(text, whole=grammar.whole)
        theirs = byte_regions(other.files.get(path, ""), whole=grammar.whole)
        if len(mine) == len(theirs):
            choices += [(path, a, b) for a, b in zip(mine, theirs, strict=True)]
    if not choices:
        return None
    path, (begin, end), (first, last) = rng.choice(choices)
    data = encode(parent.files[path])
    taken = encode(other.files[path])[first:last]
    changed = data[:begin] + taken + data[end:]
    return {**parent.files, path: decode(changed)}, f"take region of {path}"


_Graft = tuple[bytes, str]
"""The changed file and a note."""


def _put(source: Source, node: Node, text: bytes, what: str) -> _Graft | None:
    old = source.of(node)
    if text == old:
        return None
    changed = source.text[: node.begin] + text + source.text[node.end :]
    return changed, f"graft {what} {source.place(node)}: {short(old, 30)} -> {short(text, 30)}"


def _graft_function(material: Material, donor: Source) -> _Graft | None:
    """The body of the donor's function of the same name."""
    source = material.source
    mine = _bodies(source)
    theirs = _bodies(donor)
    names = [n for n in mine if n in theirs and source.of(mine[n]) != donor.of(theirs[n])]
    if not names:
        return None
    name = material.rng.choice(names)
    target, node = mine[name], theirs[name]
    text = adapted(material, donor, node, target)
    if text is None:
        return None
    old, new = indent_of(donor, node), indent_of(source, target)
    if old is not None and new is not None:
        text = reindented(text, old, new, source)
    return _put(source, target, text, "body")


def _bodies(source: Source) -> dict[bytes, Node]:
    found: dict[bytes, Node] = {}
    for node in source.root.walk():
        body = node.child("body") if node.type in source.table.functions else None
        if body is not None and source.evolvable(body):
            found[function_name(source, node)] = body
    return found


def _graft_statement(material: Material, donor: Source) -> _Graft | None:
    """A statement that the parent has not, in the place of one of its type."""
    source = material.source
    node = _foreign(material, donor, sites(donor).statements)
    if node is None:
        return None
    targets = [s for s in material.sites.statements if s.type == node.type]
    if not targets:
        return None
    target = material.rng.choice(targets)
    text = adapted(material, donor, node, target)
    old, new = indent_of(donor, node), indent_of(source, target)
    if text is None or old is None or new is None:
        return None
    text = reindented(text, old, new, source)
    if material.rng.random() < 0.5:
        return _put(source, target, text, "statement")
    if node.type in JUMPS or (source.table.family != "python" and node.type == "declaration"):
        return None
    return _put(source, target, text + source.newline + new + source.of(target), "statement")


def _graft_expression(material: Material, donor: Source) -> _Graft | None:
    """An expression that the parent has not, in the place of one of the same kind."""
    kind = material.rng.choice(("number", "number", "number", "condition", "condition", "sequence"))
    node = _foreign(material, donor, sites(donor).groups.get(kind, []))
    targets = material.sites.groups.get(kind, [])
    if node is None or not targets:
        return None
    alike = [t for t in targets if t.parent and node.parent and t.parent.type == node.parent.type]
    target = material.rng.choice(alike or targets)
    text = adapted(material, donor, node, target)
    if text is None:
        return None
    text = fitted(text, target, atom=is_atom(node))
    return _put(material.source, target, text, "condition" if kind == "condition" else "expression")


def _foreign(material: Material, donor: Source, nodes: list[Node]) -> Node | None:
    """One of the donor's nodes whose text the parent does not contain."""
    foreign = [n for n in nodes if donor.of(n) not in material.source.text]
    return material.rng.choice(foreign) if foreign else None


_GRAFTS: tuple[Callable[[Material, Source], _Graft | None], ...] = (
    _graft_function,
    _graft_statement,
    _graft_statement,
    _graft_expression,
    _graft_expression,
)
