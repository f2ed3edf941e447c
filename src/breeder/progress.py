"""Where a search stands: what the engine is assembled from, and what it keeps count of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from breeder.admission import Admission
from breeder.archive.archive import Archive
from breeder.archive.entry import fitness_error
from breeder.archive.store import Store
from breeder.core import Elite, Evaluation, Program
from breeder.executors.executor import Executor, Job
from breeder.ledger import Ledger
from breeder.promotion import Promotion
from breeder.proposers.llm.team import Team
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Proposal
from breeder.racing import Race
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
    program: Program
    metrics: Mapping[str, float]


class Verdict(NamedTuple):
    """What the engine thinks of an evaluation.

    `fitness` decides who is champion, `merit` who is a parent; None on failure. They differ only
    where a task says so (`core.merit`). `gain` is the rise of the champion's fitness; where the
    task measures, it rises by confirmation alone.
    """

    fitness: float | None
    merit: float | None
    gain: float


@dataclass(slots=True)
class Progress:
    """Where the search stands. `draws` seeds the next draw, so it survives a resume.

    `start` and `champion` are elites by fitness; those of the archive are by merit. Where the task
    measures there is a `race`, and they carry their confirmed values once they have them. Stages
    that promote compare with what `promotion` keeps.
    """

    draws: int = 0
    stagnation: int = 0
    dry: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    discards: Counter[tuple[str, str]] = field(default_factory=Counter)
    start: Elite | None = None
    champion: Elite | None = None
    succeeded: int = 0
    race: Race | None = None
    promotion: Promotion = field(default_factory=Promotion)


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
    team: Team | None = None

    def state(self) -> dict[str, bytes]:
        """What proposers and language models need to go on after a stop."""
        shared = self.team.state() if self.team is not None else {}
        return {**self.mixture.state(), **shared}


@dataclass(frozen=True, slots=True)
class Settings:
    """The engine's own options; see `config.SearchConfig`."""

    seed: int = 0
    inspirations: int = 4
    plateau: int | None = None
    ahead: int | None = None


def settle(parts: Parts, progress: Progress) -> str:
    """Put what language models used and wasted into the books; say which limit is reached, if any.

    What is paid for is evaluated before tokens or money that are used up end a run.

    Raises:
        ConfigError: a model's configuration turned out to be wrong.
    """
    ledger, team = parts.ledger, parts.team
    if team is None:
        return ledger.exhausted()
    settled = team.settle()
    ledger.charge("propose", settled.cost)
    progress.discards.update(settled.refusals)
    limit = ledger.exhausted() or team.exhausted()
    return "" if limit in ("tokens", "currency") and team.buffered() else limit


def carried(task: Task, progress: Progress) -> bytes | None:
    """The construction that the next evaluation is handed: the champion's, where the task says so.

    Args:
        task: the task.
        progress: where the search stands.
    """
    best, section = progress.champion, task.file.construction
    return best.evaluation.construction if best and section and section.carry else None


def search_job(parts: Parts, progress: Progress, program: Program, seed: int) -> Job:
    """The job that evaluates a program where selection looks, in a run of this seed."""
    task, race = parts.task, progress.race
    distinct = program.parents and any(stage.distinct for stage in task.file.stage)
    origin = parts.store.searched(program.parents[0]) if distinct else None
    return Job(
        program,
        construction=carried(task, progress),
        # The seed follows from the program, not from the order of arrival: jobs can be repeated.
        seed=(int(program.id[:8], 16) ^ (seed * 0x9E3779B1)) & 0x7FFFFFFF,
        to_beat=race.to_beat_in_search if race else None,
        bounds=progress.promotion.bounds(task.file.stage),
        parent=origin.evaluation.metrics if origin else {},
    )


def elite_of(task: Task, program: Program, evaluation: Evaluation) -> Elite:
    """A successful evaluation as the archive takes it: by merit, with its error where measured."""
    intervals = evaluation.intervals if task.file.measured else {}
    error = fitness_error(task.objectives, intervals, task.merit_name)
    return Elite(program, evaluation, task.merit(evaluation.metrics), error)


class FadingMean:
    """Exponentially fading mean of the last few dozen values."""

    def __init__(self) -> None:
        self.value = 0.0
        self._weight = 0.0

    def add(self, value: float) -> None:
        """Take one more value into account."""
        self._weight = 0.95 * self._weight + 1.0
        self.value += (value - self.value) / self._weight
