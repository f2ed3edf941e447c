"""Where a search stands: what the engine is assembled from, and what it keeps count of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from breeder.admission import Admission
from breeder.archive.archive import Archive
from breeder.archive.store import Store
from breeder.core import Elite, Program
from breeder.executors.executor import Executor
from breeder.ledger import Ledger
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Proposal
from breeder.task import Task


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program on its way through one step."""

    program: Program
    proposer: str
    proposal: Proposal
    parent: Elite
    island: int
    draw: int


class Rise(NamedTuple):
    """One rise of the best fitness, for live views."""

    evaluation: int
    elapsed: float
    candidate: Candidate
    metrics: Mapping[str, float]


class Verdict(NamedTuple):
    """What the engine thinks of an evaluation.

    `fitness` decides who is champion, `merit` who is a parent; None on failure. They differ only
    where a task says so (`core.merit`). `gain` is the rise of the champion's fitness.
    """

    fitness: float | None
    merit: float | None
    gain: float


@dataclass(slots=True)
class Progress:
    """Where the search stands. `draws` seeds the next draw, so it survives a resume.

    `start` and `champion` are elites by fitness; those of the archive are by merit.
    """

    draws: int = 0
    stagnation: int = 0
    dry: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    discards: Counter[tuple[str, str]] = field(default_factory=Counter)
    start: Elite | None = None
    champion: Elite | None = None
    succeeded: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What an engine is assembled from."""

    task: Task
    archive: Archive
    mixture: Mixture
    admission: Admission
    executor: Executor
    store: Store
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Settings:
    """The engine's own options; see `config.SearchConfig`."""

    seed: int = 0
    inspirations: int = 4
    plateau: int | None = None
    ahead: int | None = None


class FadingMean:
    """Exponentially fading mean of the last few dozen values."""

    def __init__(self) -> None:
        self.value = 0.0
        self._weight = 0.0

    def add(self, value: float) -> None:
        """Take one more value into account."""
        self._weight = 0.95 * self._weight + 1.0
        self.value += (value - self.value) / self._weight
