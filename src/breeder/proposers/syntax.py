"""The syntax proposer: small tree edits that keep a program parseable."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from breeder.proposers.checks import child_text, editable
from breeder.proposers.edits.arithmetic import expand_exponential, hoist_reciprocal
from breeder.proposers.edits.carrying import carry_sums
from breeder.proposers.edits.cases import split_cases
from breeder.proposers.edits.change import Edit, EditKind, Material, apply
from breeder.proposers.edits.expressions import (
    delete_term,
    generate_expression,
    replace_expression,
    swap_operands,
    wrap_expression,
)
from breeder.proposers.edits.hints import (
    align_array,
    change_pragma,
    change_restrict,
    change_width,
    vectorise_loops,
)
from breeder.proposers.edits.lanes import split_reduction
from breeder.proposers.edits.lines import edit_lines
from breeder.proposers.edits.loops import block_loop, fuse_loops, interchange_loops, split_loop
from breeder.proposers.edits.names import change_access, change_identifier, change_number
from breeder.proposers.edits.operators import change_condition, change_operator
from breeder.proposers.edits.statements import (
    copy_statement,
    delete_statement,
    insert_statement,
    swap_statements,
    wrap_statement,
)
from breeder.proposers.edits.tiles import tile_contraction
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal
from breeder.proposers.trees import Source, byte_regions, decode, encode, read, sources

EDITS: Mapping[str, tuple[EditKind, float]] = {
    "replace expression": (replace_expression, 2.0),
    "generate expression": (generate_expression, 2.0),
    "delete term": (delete_term, 1.0),
    "swap operands": (swap_operands, 0.5),
    "wrap expression": (wrap_expression, 1.0),
    "change operator": (change_operator, 1.0),
    "change condition": (change_condition, 1.0),
    "change identifier": (change_identifier, 1.5),
    "change access": (change_access, 0.5),
    "change number": (change_number, 2.0),
    "split cases": (split_cases, 1.5),
    "delete statement": (delete_statement, 1.0),
    "insert statement": (insert_statement, 1.5),
    "copy statement": (copy_statement, 1.0),
    "swap statements": (swap_statements, 0.5),
    "wrap statement": (wrap_statement, 0.5),
}
"""Kinds of edit -> how to make one, and its weight before anything is learned."""

C_EDITS: Mapping[str, tuple[EditKind, float]] = {
    "tile contraction": (tile_contraction, 14.0),
    "vectorise loops": (vectorise_loops, 8.0),
    "split reduction": (split_reduction, 5.0),
    "carry sums": (carry_sums, 12.0),
    "change width": (change_width, 4.0),
    "change pragma": (change_pragma, 3.0),
    "change restrict": (change_restrict, 2.0),
    "expand exponential": (expand_exponential, 8.0),
    "hoist reciprocal": (hoist_reciprocal, 4.0),
    "fuse loops": (fuse_loops, 5.0),
    "block loop": (block_loop, 2.0),
    "interchange loops": (interchange_loops, 1.0),
    "align array": (align_array, 0.5),
    "split loop": (split_loop, 0.5),
}
"""The same for kinds that only programs of the C family know.

They weigh more: they keep the meaning of a program, which edits of expressions seldom do, and what
is compiled is mostly evolved for its speed.
"""

_EVERY = {**EDITS, **C_EDITS}

_ATTEMPTS = 40
_MORE = 0.25  # chance of a further edit
_C_SHARE = 0.3  # of their weight that edits of single expressions have in programs of the C family
_C_MORE = 0.5  # as most of them keep the meaning, and judging a kernel costs much
_MEMORY = 0.99


class _Learned(msgspec.Struct):
    """What became of the edits so far: kind -> decayed number of tries and of rewards."""

    tries: dict[str, float] = {}
    rewards: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class _Made:
    """An edited file and the kinds of edit that made it."""

    path: str
    text: str
    kinds: tuple[str, ...]
    note: str


class SyntaxProposer:
    """Edits the syntax tree of a parent: one edit or up to four, one after the other.

    Each edit sees what the one before it made. Every proposal parses (Python compiles too) and
    leaves the frozen text alone. Kinds of edit that led to placements and gains are drawn more
    often, within a factor of four of their prior weight either way. Files without a grammar, and
    parents that do not parse, are edited by lines.
    """

    name = "syntax"

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._learned = _Learned()

    async def propose(self, draw: Draw) -> Proposal | None:
        """Edit the parent; None when no edit was found that keeps it sound."""
        program = draw.parent.program
        paths = editable(program.files, self._grammar)
        if not paths:
            return None
        found = sources(program.files, self._grammar)
        other = draw.rng.choice(draw.inspirations).program if draw.inspirations else None
        used = (program.id,)
        declined: set[tuple[str, str]] = set()
        for _ in range(_ATTEMPTS):
            path = draw.rng.choice(paths)
            source = found.get(path)
            if source is None:
                made = self._edit_lines(path, program.files[path], draw.rng)
            else:
                donors = [source, *(s for s in found.values() if s.table is source.table)]
                if other is not None:
                    more = sources(other.files, self._grammar).values()
                    donors += [s for s in more if s.table is source.table]
                made = self._edit_tree(path, source, donors, draw, declined)
            if made is not None:
                parents = used if other is None or other.id == program.id else (*used, other.id)
                files = {**program.files, made.path: made.text}
                return Proposal(files, parents, made.note, ticket=made.kinds)
        return None

    def learn(self, outcome: Outcome) -> None:
        """Reward the kinds of edit in the proposal: 1 for a placement, 3 for a new best."""
        kinds = outcome.proposal.ticket
        if not isinstance(kinds, tuple):
            return
        learned = self._learned
        for table in (learned.tries, learned.rewards):
            for kind in table:
                table[kind] *= _MEMORY
        reward = (3.0 if outcome.gain > 0 else 1.0) if outcome.placement else 0.0
        for kind in kinds:
            if kind in _EVERY:
                learned.tries[kind] = learned.tries.get(kind, 0.0) + 1
                learned.rewards[kind] = learned.rewards.get(kind, 0.0) + reward / len(kinds)

    def weights(self) -> dict[str, float]:
        """Current weight of every kind of edit."""
        tries, rewards = self._learned.tries, self._learned.rewards
        average = (sum(rewards.values()) + 1) / (sum(tries.values()) + 10)
        return {
            kind: prior * min(4.0, max(0.25, _rate(tries, rewards, kind, average) / average))
            for kind, (_, prior) in _EVERY.items()
        }

    def state(self) -> bytes:
        """The learned weights."""
        return msgspec.msgpack.encode(self._learned)

    def restore(self, state: bytes) -> None:
        """Take up learned weights; anything unreadable is ignored."""
        if not state:
            return
        try:
            self._learned = msgspec.msgpack.decode(state, type=_Learned)
        except msgspec.MsgspecError:
            self._learned = _Learned()

    def _edit_tree(
        self,
        path: str,
        source: Source,
        donors: Sequence[Source],
        draw: Draw,
        declined: set[tuple[str, str]],
    ) -> _Made | None:
        """Edit a file; kinds that find no place in it are added to `declined`, to be left out."""
        before = decode(source.text)
        known = _EVERY if source.table.family == "c" else EDITS
        weights = {kind: weight for kind, weight in self.weights().items() if kind in known}
        if source.table.family == "c":
            weights = {k: w if k in C_EDITS else w * _C_SHARE for k, w in weights.items()}
        left = {kind: weight for kind, weight in weights.items() if (path, kind) not in declined}
        weights = left or weights
        kinds, notes = [], []
        count = _count(draw, _C_MORE if source.table.family == "c" else _MORE)
        for kind in draw.rng.choices(list(weights), list(weights.values()), k=count):
            edit = known[kind][0](Material(source, donors, draw.rng))
            after = _applied(source, edit, self._grammar) if edit is not None else None
            if edit is not None and after is not None:
                # The next edit sees what this one made: tiles are blocked, fused loops vectorised.
                donors = [after, *donors[1:]]
                source = after
                kinds.append(kind)
                notes.append(edit.note)
            elif not kinds:
                declined.add((path, kind))
        if not kinds:
            return None
        text = child_text(before, source.text, path, self._grammar)
        return None if text is None else _Made(path, text, tuple(kinds), "; ".join(notes))

    def _edit_lines(self, path: str, text: str, rng: random.Random) -> _Made | None:
        data = encode(text)
        begin, end = rng.choice(byte_regions(text, whole=self._grammar.whole))
        edited = edit_lines(decode(data[begin:end]), rng)
        if edited is None:
            return None
        after = decode(data[:begin] + encode(edited[0]) + data[end:])
        sound = child_text(text, encode(after), path, Grammar({}, whole=self._grammar.whole))
        return None if sound is None else _Made(path, sound, ("lines",), edited[1])


def _rate(
    tries: Mapping[str, float], rewards: Mapping[str, float], kind: str, average: float
) -> float:
    """Smoothed reward per try: five imagined tries at the average rate keep it from jumping."""
    return (rewards.get(kind, 0.0) + 5 * average) / (tries.get(kind, 0.0) + 5)


def _count(draw: Draw, more: float) -> int:
    """How many edits at once: geometric, at most four; more of them when the run stagnates."""
    if draw.stagnation >= 200:
        more = max(more, 0.4)
    count = 1
    while count < 4 and draw.rng.random() < more:
        count += 1
    return count


def _applied(source: Source, edit: Edit, grammar: Grammar) -> Source | None:
    """The source after an edit; None when it leaves the regions or no longer parses."""
    inside = all(
        any(begin <= c.begin and c.end <= end for begin, end in source.regions)
        for c in edit.changes
    )
    after = apply(source.text, edit.changes) if inside else None
    if after is None:
        return None
    try:
        return read(decode(after), source.table.name, whole=grammar.whole)
    except UnicodeDecodeError:
        return None
