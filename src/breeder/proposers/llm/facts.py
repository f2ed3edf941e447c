"""What prompts say about a task: goal, objectives, rules. Nothing of the environment, no keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Self

from breeder.core import Objective
from breeder.proposers.proposer import Grammar
from breeder.task import LANGUAGES, Task

_CALLED = re.compile(r"""\.(?:call|prepare)\(\s*["']([A-Za-z_]\w*)["']""")


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The part of a task that prompts are made from.

    Attributes:
        name: the task's name.
        goal: what is wanted, in the task author's words.
        files: initial text of every evolved file.
        grammar: languages of the files and their evolvable regions.
        objectives: what is improved, with directions.
        entry_functions: functions that the evaluator calls; they keep name and parameters.
        rules: further rules, one line each: constraints, limits.
        readonly: support files that the program may use.
    """

    name: str
    goal: str
    files: Mapping[str, str]
    grammar: Grammar
    objectives: tuple[Objective, ...]
    entry_functions: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    readonly: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, *, evaluator: str = "") -> Self:
        """The facts of a task.

        Args:
            task: the task.
            evaluator: source of its evaluate.py, to learn which functions it calls.
        """
        own = task.file.program.language
        languages = {name: own or LANGUAGES.get(_suffix(name), "text") for name in task.files}
        native = tuple(task.file.program.functions)
        return cls(
            name=task.name,
            goal=task.file.task.goal.strip(),
            files=task.files,
            grammar=Grammar(languages, whole=task.whole, goal=task.file.task.goal),
            objectives=task.objectives,
            entry_functions=native or called_functions(evaluator),
            rules=_rules(task),
            readonly=task.readonly,
        )

    @property
    def language(self) -> str:
        """Language of the first evolved file."""
        return next((self.grammar.languages.get(path, "") for path in self.files), "")

    def language_of(self, path: str) -> str:
        """Language of an evolved or a support file; empty when unknown."""
        return self.grammar.languages.get(path) or LANGUAGES.get(_suffix(path), "")


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix


def called_functions(evaluator: str) -> tuple[str, ...]:
    """Names of the candidate's functions that an evaluator's source calls, in order."""
    return tuple(dict.fromkeys(_CALLED.findall(evaluator)))


def _rules(task: Task) -> tuple[str, ...]:
    file = task.file
    rules = []
    for bound in file.constraint:
        bounds = [
            f"{word} {value:g}"
            for word, value in (("at least", bound.at_least), ("at most", bound.at_most))
            if value is not None
        ]
        rules.append(f"`{bound.metric}` must be {' and '.join(bounds)}.")
    if file.program.preload:
        rules.append(f"Available to import: {', '.join(file.program.preload)}.")
    limits = file.limits
    rules.append(
        f"One evaluation may use {limits.cpu_seconds:g} s of CPU time and {limits.memory_mib} MiB; "
        "there is no network and no file to read."
    )
    return tuple(rules)
