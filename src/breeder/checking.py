"""`breeder check`: validates a task and runs its initial program through everything once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from breeder.core import Evaluation, Program
from breeder.errors import BreederError, SandboxUnavailableError, TaskError
from breeder.executors.executor import Executor, Job, Split
from breeder.executors.local import LocalExecutor
from breeder.task import Task

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


@dataclass(slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        task: the task's name.
        sandbox: what the initial program ran in.
        findings: in the order in which they were made.
        evaluations: split -> evaluation of the initial program.
        baselines: split -> baseline -> metrics.
    """

    task: str
    sandbox: str
    findings: list[Finding] = field(default_factory=list)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    baselines: dict[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether a run of this task can start."""
        return all(finding.level is not Level.MISTAKE for finding in self.findings)

    def lines(self) -> list[str]:
        """The report for people, a line per finding."""
        shown = [f"{f.level:<8} {f.subject:<16} {f.text}".rstrip() for f in self.findings]
        return [*shown, f"{'ready' if self.passed else 'not ready'}: {self.task}"]

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


def check(task: Task, sandbox: Literal["bubblewrap", "none"] = "bubblewrap") -> CheckReport:
    """Run the initial program of `task` through every stage, the held-out part and the baselines.

    Mistakes in the task become findings; they are not raised.

    Raises:
        SandboxUnavailableError: candidates cannot be isolated on this machine.
    """
    report = CheckReport(task.name, sandbox)
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
