"""Assembly: the parts of a run, built from a task and a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from breeder.archive.islands import IslandArchive
from breeder.archive.selection import SelectionConfig
from breeder.config import RunConfig
from breeder.core import Budget
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Grammar, Proposer
from breeder.proposers.recombination import RecombinationProposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.proposers.tuning import TuningProposer
from breeder.task import LANGUAGES, Task

DEFAULT_MINUTES = 10.0

PROPOSERS: dict[str, Callable[[Grammar], Proposer]] = {
    "syntax": SyntaxProposer,
    "tuning": TuningProposer,
    "recombination": RecombinationProposer,
}


def grammar_of(task: Task) -> Grammar:
    """What proposers must know of a task."""
    own = task.file.program.language
    languages = {
        name: own or LANGUAGES.get(Path(name).suffix, "text") for name in task.file.program.files
    }
    return Grammar(languages=languages, whole=task.whole, goal=task.file.task.goal)


def effective_budget(task: Task, config: RunConfig) -> Budget:
    """The configured limits; the task's where none is configured; else ten minutes."""
    own = config.budget.budget()
    if own != Budget():
        return own
    theirs = Budget(**task.file.budget.model_dump())
    return theirs if theirs != Budget() else Budget(minutes=DEFAULT_MINUTES)


def new_archive(task: Task, config: RunConfig) -> IslandArchive:
    """An empty archive for a task."""
    selection = SelectionConfig(islands=config.search.islands)
    return IslandArchive(task.objectives, task.file.feature, selection=selection)


def build_mixture(task: Task, names: tuple[str, ...]) -> Mixture:
    """The proposers of a run, side by side."""
    grammar = grammar_of(task)
    return Mixture([PROPOSERS[name](grammar) for name in names], stages=len(task.file.stage))
