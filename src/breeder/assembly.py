"""Assembly: the parts of a run, built from a task and a configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from breeder.archive.fixed_parent import FixedParentArchive
from breeder.archive.islands import IslandArchive
from breeder.archive.selection import SelectionConfig
from breeder.config import RunConfig
from breeder.core import Budget
from breeder.proposers.exchange import Exchange
from breeder.proposers.llm.ensemble import Ensemble, Seat, open_models
from breeder.proposers.llm.member import FREE, MemberSettings
from breeder.proposers.llm.proposer import SAMPLES, SMALL_SAMPLES, Manner
from breeder.proposers.llm.team import Team
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Grammar, Proposer
from breeder.proposers.recombination import RecombinationProposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.proposers.tuning import TuningProposer
from breeder.task import LANGUAGES, Task

DEFAULT_MINUTES = 10.0
MOST_PROMPT = 12_000  # tokens of a prompt, whatever a model's context would hold
LEAST_PROMPT = 1_000

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
    if task.file.measured is not None:
        # What is timed is dear: there are tens of evaluations where others have thousands.
        selection = SelectionConfig(islands=config.search.islands, explore=0.1, exploit=0.4)
    kind = IslandArchive if config.search.evolve else FixedParentArchive
    return kind(task.objectives, task.file.feature, selection=selection)


def build_mixture(
    task: Task,
    names: Sequence[str],
    *,
    team: Team | None = None,
    budget: Budget | None = None,
    used: Callable[[], float] | None = None,
) -> Mixture:
    """The proposers of a run, side by side: model-free ones by name, and an arm for each model.

    Args:
        task: the task.
        names: of model-free proposers.
        team: the models.
        budget: the run's limits.
        used: the CPU seconds that count towards them so far.
    """
    grammar = grammar_of(task)
    own: list[Proposer] = [PROPOSERS[name](grammar) for name in names]
    models = team.proposers if team is not None else ()
    return Mixture([*own, *models], stages=len(task.file.stage), exchange=Exchange(budget, used))


def open_seats(config: RunConfig) -> list[Seat]:
    """The models that a configuration names, ready to be asked. Nothing is sent.

    Raises:
        ConfigError: a key is not set, or a local model is not there.
        UserError: an extra is not installed.
    """
    from breeder.proposers.llm.local.model import first_cost, open_local

    seats = open_models(config.endpoints())
    for spec in config.local_models():
        model = open_local(spec, slots=config.slots)
        settings = MemberSettings(concurrency=1, prices=FREE, first=first_cost(spec))
        seats.append((model, settings))
    return seats


def build_team(task: Task, config: RunConfig, seats: Sequence[Seat], budget: Budget) -> Team | None:
    """The models of a run with what they share; None without models.

    Raises:
        ConfigError: a budget in currency and a model without prices, or a name given twice.
    """
    if not seats:
        return None
    # Runs without models start without what only models need.
    from breeder.proposers.llm.editing import AnswerEditing
    from breeder.proposers.llm.facts import TaskFacts
    from breeder.proposers.llm.task_briefing import (
        SMALL_PROMPT,
        SMALL_TOKENS,
        BriefingOptions,
        TaskBriefing,
    )

    search = config.search
    entries = {entry.name: entry for entry in config.model}
    rooms = [entry.context - entry.max_tokens for entry in config.endpoints() if not entry.small]
    short = [entry.context - SMALL_TOKENS for entry in config.endpoints() if entry.small]
    options = BriefingOptions(
        tokens=max(min([MOST_PROMPT, *rooms]), LEAST_PROMPT),
        small_tokens=min([SMALL_PROMPT, *short]),
        context=search.context,
        meta_prompts=search.meta_prompts,
        reflection=search.reflection,
    )
    facts = TaskFacts.of(task, evaluator=_evaluator(task))

    def manner(name: str, role: str) -> Manner:
        entry = entries.get(name)
        small = entry.small if entry is not None else name in config.local_models()
        samples = SMALL_SAMPLES if small else SAMPLES[role]
        # Answers of an endpoint come when they come; runs with one cannot be repeated anyway.
        local = name in config.local_models()
        how = Manner(
            samples,
            small=small,
            grammar=local or (entry is not None and entry.grammar != "none"),
            wait=config.slots == 1 and entry is None,
            local=local,
        )
        return replace(how, samples=entry.samples) if entry and entry.samples else how

    briefing = TaskBriefing(facts, options)
    editing = AnswerEditing(facts)
    return Team(Ensemble(seats, budget), briefing, editing, manner)


def _evaluator(task: Task) -> str:
    """Source of the task's evaluator, which tells the functions that it calls."""
    try:
        return (task.folder / "evaluate.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
