"""The contract of a proposer: it makes a new program from a parent and inspirations."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from breeder.core import Cost, Elite, Evaluation, Placement, Program
from breeder.regions import Region, evolvable


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a proposer must know of the task: how to read and splice its files.

    Attributes:
        languages: evolved file -> language name.
        whole: unmarked files are evolvable as a whole.
        goal: the task's goal, for proposers that read text.
    """

    languages: Mapping[str, str]
    whole: bool = False
    goal: str = ""

    def regions(self, text: str) -> tuple[Region, ...]:
        """Evolvable regions of a file's text."""
        return evolvable(text, whole=self.whole)


@dataclass(frozen=True, slots=True)
class Draw:
    """One chance to propose: a parent, inspirations and a private random stream.

    Attributes:
        parent: the elite to start from.
        inspirations: other elites, most promising first; may be empty.
        rng: the only source of randomness that a proposer may use.
        best: fitness of the best elite so far.
        stagnation: evaluations since the best fitness last improved.
        children: evaluations of the parent's children so far: as long as it holds its cell, those
            since the cell's elite last changed. Filled in by the mixture.
    """

    parent: Elite
    inspirations: tuple[Elite, ...]
    rng: random.Random
    best: float
    stagnation: int = 0
    children: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new program text, not yet evaluated.

    Attributes:
        files: every evolved file, path -> full text (unchanged ones included).
        parents: ids of the programs used, main parent first.
        note: one line on what was changed.
        cost: what making it used (tokens, currency; CPU time is counted by the engine).
        ticket: returned unchanged in `Outcome`, for the proposer's own bookkeeping.
    """

    files: Mapping[str, str]
    parents: tuple[str, ...]
    note: str = ""
    cost: Cost = field(default_factory=Cost)
    ticket: object = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a proposal.

    Attributes:
        proposal: the proposal, with its ticket.
        evaluation: None when it was not evaluated (duplicate, frozen text touched, too large).
        fitness: None unless the evaluation succeeded.
        parent_fitness: fitness of the main parent.
        placement: what the archive did with it; REJECTED when not evaluated.
        gain: improvement of the best fitness that this outcome brought (0.0 for none).
        program: the proposal as a program; None when it was not evaluated.
    """

    proposal: Proposal
    evaluation: Evaluation | None
    fitness: float | None
    parent_fitness: float
    placement: Placement
    gain: float = 0.0
    program: Program | None = None


class Proposer(Protocol):
    """Makes programs. Several always run side by side.

    Guarantees that an implementation gives:
        * `propose` changes only evolvable regions and returns every evolved file;
        * it uses no randomness but `draw.rng` and no clock, so that runs can be repeated;
        * it returns None when it has nothing to offer from this draw (no constants to tune, no
          inspiration to graft from): that is normal and free;
        * it never raises for a strange parent; it raises only for its own infrastructure.

    Guarantees that the engine gives:
        * every proposal gets exactly one `learn`, also duplicates and failures, except when the
          run ends first; `learn` is called in the order in which evaluations finish;
        * calls never overlap for `learn`; `propose` may overlap itself when it awaits.
    """

    @property
    def name(self) -> str:
        """Short name, as used by `--proposers` and shown in reports."""
        ...

    async def propose(self, draw: Draw) -> Proposal | None:
        """Make one new program, or None."""
        ...

    def learn(self, outcome: Outcome) -> None:
        """Take note of what became of one of this proposer's proposals."""
        ...

    def state(self) -> bytes:
        """What must survive a stop, as bytes (empty when there is nothing)."""
        ...

    def restore(self, state: bytes) -> None:
        """Take up a state that `state` gave in an earlier process. Tolerates `b""`."""
        ...
