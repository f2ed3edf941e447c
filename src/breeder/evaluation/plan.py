"""Turns a task into the plan that evaluator processes work from."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from breeder.core import Objective
from breeder.errors import TaskError
from breeder.evaluation.protocol import Plan, ProgramPlan, Stage, Threshold
from breeder.task import (
    ConstraintSection,
    HeldOutSection,
    MeasuredSection,
    StageSection,
    Task,
    VerificationSection,
)

_COMPILERS = {"c": "gcc", "cpp": "g++"}
_SOURCE_SUFFIXES = {".c", ".cc", ".cpp", ".cxx"}


def plan(task: Task) -> Plan:
    """Return what an evaluator process must know of `task`.

    Raises:
        TaskError: the program's language needs a `command` or `functions` that are missing.
    """
    limits = task.file.limits
    stages = tuple(
        Stage(
            stage.name,
            stage.function,
            stage.cpu_seconds or limits.cpu_seconds,
            limits.wall_seconds,
            _threshold(stage),
            stage.distinct,
        )
        for stage in task.file.stage
    )
    construction = task.file.construction
    return Plan(
        folder=str(task.folder),
        evaluator=task.file.evaluator,
        kind=task.kind,
        program=_program(task),
        stages=stages,
        held_out=_single(task, "held-out", task.file.held_out),
        confirm=_single(task, "confirm", task.file.measured),
        verify=_single(task, "verify", task.file.verification),
        verify_construction=construction.verify if construction else None,
        constraints=tuple(_bound(constraint) for constraint in task.file.constraint),
        objectives=tuple(_names(task.objectives)),
        limits=limits.limits(),
    )


def _single(
    task: Task,
    name: str,
    section: HeldOutSection | MeasuredSection | VerificationSection | None,
) -> Stage | None:
    if section is None:
        return None
    limits = task.file.limits
    return Stage(
        name, section.function, section.cpu_seconds or limits.cpu_seconds, limits.wall_seconds
    )


def _names(objectives: tuple[Objective, ...]) -> list[str]:
    return [objective.name for objective in objectives]


def _bound(section: ConstraintSection) -> Threshold:
    return Threshold(section.metric, section.at_least, section.at_most)


def _threshold(section: StageSection) -> Threshold | None:
    if section.metric is None:
        return None
    return Threshold(section.metric, section.at_least, section.at_most)


def _program(task: Task) -> ProgramPlan:
    section = task.file.program
    mode = _mode(task)
    return ProgramPlan(
        main=section.files[0],
        mode=mode,
        support=dict(task.readonly),
        functions=dict(section.functions),
        compile_command=_compile_command(task) if mode == "native" else (),
        command=section.command,
        preload=section.preload,
    )


def _mode(task: Task) -> Literal["python", "native", "command"]:
    if task.file.program.command:
        return "command"
    if task.language == "python" or not task.trusted:
        return "python"
    if task.language not in _COMPILERS:
        raise TaskError(
            "task.toml",
            "program.command",
            f"is missing, but a {task.language} program is run as a command",
            'add for example command = ["ruby", "main.rb"]',
        )
    if not task.file.program.functions:
        raise TaskError(
            "task.toml",
            "program.functions",
            f"is empty, but a {task.language} program needs the signatures of its functions",
            "add [program.functions.NAME] with arguments and returns",
        )
    return "native"


def _compile_command(task: Task) -> tuple[str, ...]:
    section = task.file.program
    sources = [name for name in (*section.files, *section.readonly) if _is_source(name)]
    compiler = _COMPILERS[task.language]
    output = ("-shared", "-fPIC", "-o", "{output}")
    # Libraries such as -lm come after the sources that need them.
    return (compiler, *section.compile_flags, *output, *sources, "-lm")


def _is_source(name: str) -> bool:
    return PurePath(name).suffix in _SOURCE_SUFFIXES
