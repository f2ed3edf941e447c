"""`breeder check`: validates a task and runs its initial program through everything once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from breeder.core import Evaluation, Program
from breeder.errors import BreederError, SandboxUnavailableError, TaskError
from breeder.executors.executor import Executor, Job, Split
from breeder.executors.local import LocalExecutor
from breeder.task import Task
from breeder.task_file import FILE_NAME, mistakes, read
from breeder.task_formats import load

SIZE = "size"  # the built-in feature: syntax-tree nodes, no metric


class Level(StrEnum):
    """How a finding reads."""

    OK = "ok"
    NOTE = "note"
    MISTAKE = "mistake"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report: what was looked at and what was found."""

    level: Level
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<8} {self.subject:<16} {self.text}".rstrip()


@dataclass(slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        task: the task's name.
        sandbox: what the initial program ran in.
        findings: in the order in which they were made.
        evaluations: split -> evaluation of the initial program.
        baselines: split -> baseline -> metrics.
        watch: told each finding when it is made, since a check of a long task takes a while.
    """

    task: str
    sandbox: str
    findings: list[Finding] = field(default_factory=list)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    baselines: dict[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    watch: Callable[[Finding], None] = lambda finding: None

    @property
    def passed(self) -> bool:
        """Whether a run of this task can start."""
        return all(finding.level is not Level.MISTAKE for finding in self.findings)

    def lines(self) -> list[str]:
        """The report for people, a line per finding."""
        return [*map(str, self.findings), self.verdict()]

    def verdict(self) -> str:
        """The last line of the report."""
        return f"{'ready' if self.passed else 'not ready'}: {self.task}"

    def to_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "task": self.task,
            "sandbox": self.sandbox,
            "passed": self.passed,
            "findings": [
                {"level": str(f.level), "subject": f.subject, "text": f.text} for f in self.findings
            ],
            "initial": {
                split: {
                    "metrics": dict(evaluation.metrics),
                    "failure": None if evaluation.failure is None else str(evaluation.failure),
                    "cpu_seconds": evaluation.cost.cpu_seconds,
                    "trusted": evaluation.trusted,
                }
                for split, evaluation in self.evaluations.items()
            },
            "baselines": {
                split: {name: dict(metrics) for name, metrics in named.items()}
                for split, named in self.baselines.items()
            },
        }

    def add(self, level: Level, subject: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(level, subject, text))
        self.watch(self.findings[-1])


def check_folder(
    path_or_name: str,
    sandbox: Literal["bubblewrap", "none"] = "bubblewrap",
    *,
    watch: Callable[[Finding], None] = lambda finding: None,
) -> CheckReport:
    """Load a task, then `check` it. Every mistake in task.toml is a finding, not the first alone.

    Raises:
        TaskError: there is no task.
        SandboxUnavailableError: candidates cannot be isolated on this machine.
    """
    try:
        task = load(path_or_name)
    except TaskError as error:
        folder = Path(path_or_name)
        if not folder.is_dir() or error.file == path_or_name:
            raise
        report = CheckReport(folder.resolve().name, sandbox, watch=watch)
        found = mistakes(read(folder)) if error.file == FILE_NAME else ()
        for mistake in found or (error,):
            report.add(Level.MISTAKE, "task", str(mistake))
        return report
    return check(task, sandbox, watch=watch)


def check(
    task: Task,
    sandbox: Literal["bubblewrap", "none"] = "bubblewrap",
    *,
    watch: Callable[[Finding], None] = lambda finding: None,
) -> CheckReport:
    """Run the initial program of `task` through every stage, the held-out part and the baselines.

    Mistakes in the task become findings; they are not raised.

    Args:
        task: the task.
        sandbox: how the initial program is isolated.
        watch: told each finding when it is made.

    Raises:
        SandboxUnavailableError: candidates cannot be isolated on this machine.
    """
    report = CheckReport(task.name, sandbox, watch=watch)
    _describe(task, report)
    try:
        executor = LocalExecutor(task, slots=1, sandbox=sandbox)
        asyncio.run(_run(task, executor, report))
    except SandboxUnavailableError:
        raise
    except BreederError as error:
        report.add(Level.MISTAKE, "task", str(error))
    return report


def _describe(task: Task, report: CheckReport) -> None:
    names = ", ".join(f"{o.direction} {o.name}" for o in task.objectives)
    source = "task.toml" if task.trusted else f"{task.kind} folder"
    report.add(Level.OK, source, f"{task.name}: {names}")
    for path in task.files:
        count = len(task.regions(path))
        report.add(Level.OK, path, f"{count} evolvable region{'s' if count > 1 else ''}")
    if not task.trusted:
        report.add(
            Level.NOTE,
            task.file.evaluator,
            "runs in the sandbox with the candidate; its scores are labelled self-reported",
        )


async def _run(task: Task, executor: Executor, report: CheckReport) -> None:
    try:
        await executor.start()
        report.add(Level.OK, task.file.evaluator, "loads")
        initial = Program(id="initial", files=task.files)
        evaluation = await executor.evaluate(Job(initial))
        _judge(task, report, "search", evaluation)
        if evaluation.failure is not None:
            return
        _judge_features(task, report, evaluation)
        if task.file.held_out is None:
            report.add(Level.NOTE, "held-out", "none: nothing will confirm a champion")
        else:
            held_out = Job(initial, split="held_out", construction=evaluation.construction)
            _judge(task, report, "held_out", await executor.evaluate(held_out))
        await _run_baselines(task, executor, report)
    finally:
        await executor.close()


def _judge(task: Task, report: CheckReport, split: Split, evaluation: Evaluation) -> None:
    report.evaluations[split] = evaluation
    subject = "initial program" if split == "search" else "held-out"
    if evaluation.failure is not None:
        report.add(Level.MISTAKE, subject, f"fails: {evaluation.failure}")
        return
    shown = ", ".join(f"{name} = {value:.6g}" for name, value in evaluation.metrics.items())
    stages = ""
    if split == "search" and task.trusted:
        stages = "passes " + ", ".join(stage.name for stage in task.file.stage) + ": "
    report.add(Level.OK, subject, f"{stages}{shown} ({evaluation.cost.cpu_seconds:.2f} s CPU)")


def _judge_features(task: Task, report: CheckReport, evaluation: Evaluation) -> None:
    for index, feature in enumerate(task.file.feature):
        if feature.name == SIZE:
            continue
        value = evaluation.metrics.get(feature.name)
        if value is None:
            known = ", ".join([SIZE, *sorted(evaluation.metrics)])
            error = TaskError(
                "task.toml",
                f"feature.{index}.name",
                f"{feature.name!r} is no metric of the evaluator",
                f"use one of {known}",
            )
            report.add(Level.MISTAKE, "feature", str(error))
        elif not feature.low <= value <= feature.high:
            report.add(
                Level.NOTE,
                "feature",
                f"{feature.name} = {value:.6g} of the initial program lies outside its range "
                f"{feature.low:g} to {feature.high:g}",
            )


async def _run_baselines(task: Task, executor: Executor, report: CheckReport) -> None:
    splits: tuple[Split, ...] = ("search",)
    if task.file.held_out is not None:
        splits = ("search", "held_out")
    for split in splits:
        found = await executor.baselines(split)
        if not found:
            report.add(Level.NOTE, "baselines", "none stated")
            return
        report.baselines[split] = found
        for name, metrics in found.items():
            shown = ", ".join(f"{key} = {value:.6g}" for key, value in metrics.items())
            report.add(Level.OK, f"baseline {split}", f"{name}: {shown}")
