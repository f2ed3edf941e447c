"""`breeder verify`: tries a champion by rules that selection did not see, and writes it down."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from breeder.errors import CertificateError, RunError, UserError
from breeder.executors.local import LocalExecutor
from breeder.task import Task
from breeder.verification import certificate as certificates
from breeder.verification.certificate import (
    FORMAT,
    Certificate,
    Method,
    ObjectiveRecord,
    TaskRecord,
    Trial,
)
from breeder.verification.environment import environment
from breeder.verification.judgement import Judgement, contradicts_claim, judge
from breeder.verification.subject import Subject, opened, record_of, ships
from breeder.verification.trials import method_for, run_trial, schedule

SEEDS = 5
"""Trials of each program where the task does not say how many."""

REPEATED_STEM = "certificate-repeated"
_LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Settings:
    """How to verify.

    Attributes:
        seeds: number of trials of each program; None for what the task asks.
        sandbox: kind of sandbox; what is verified in `none` cannot be adopted.
        task: folder or name of the task to verify on; None to find it.
        draw_seed: gives a seed that nobody could foresee (injected in tests).
        on_trial: called after each trial with it, its number and their total.
    """

    seeds: int | None = None
    sandbox: Literal["bubblewrap", "none"] = "bubblewrap"
    task: str | None = None
    draw_seed: Callable[[], int] = lambda: secrets.randbelow(_LARGEST_SEED)
    on_trial: Callable[[Trial, int, int], None] = lambda trial, number, total: None


def verify(source: Path, settings: Settings = Settings()) -> Certificate:
    """Verify a champion and return a sealed certificate, whatever the verdict.

    Args:
        source: a run's directory, an exported folder, or a certificate to repeat.
        settings: how.

    Raises:
        RunError, TaskError, CertificateError: there is nothing here to verify.
        EvaluatorError, SandboxUnavailableError: the task or the machine is at fault.
        KeyboardInterrupt: stopped by SIGINT or SIGTERM; nothing is left running.
    """
    if settings.seeds is not None and settings.seeds < 1:
        raise UserError(f"--seeds: must be at least 1, not {settings.seeds}")
    with opened(source, settings.task) as subject:
        if set(subject.champion.program.files) != set(subject.task.files):
            raise RunError(f"{source}: the task {subject.task.name} evolves other files")
        method = method_for(subject.task, subject.champion)
        seeds = _seeds(subject.task, method, settings)
        try:
            trials = asyncio.run(_interruptible(subject, method, seeds, settings))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        return _certificate(subject, method, seeds, trials, settings)


def output_path(source: Path, out: Path | None) -> Path:
    """Where the certificate goes: beside what was verified, or into `out`; never over a source."""
    folder = out or (source.parent if source.is_file() else source)
    path = folder / certificates.FILE_NAME
    if source.is_file() and path.resolve() == source.resolve():
        return folder / f"{REPEATED_STEM}.json"
    return path


def write(certificate: Certificate, path: Path) -> None:
    """Write the file of a certificate.

    Raises:
        CertificateError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(certificates.to_json(certificate))
    except OSError as error:
        raise CertificateError(f"{path}: cannot be written: {error.strerror or error}") from None


def _seeds(task: Task, method: Method, settings: Settings) -> tuple[int, ...]:
    if method == "construction":
        return ()
    section = task.file.verification
    count = settings.seeds or (section.seeds if section is not None else SEEDS)
    seeds: dict[int, None] = {}
    while len(seeds) < count:
        seeds[settings.draw_seed()] = None
    return tuple(seeds)


async def _interruptible(
    subject: Subject, method: Method, seeds: tuple[int, ...], settings: Settings
) -> tuple[Trial, ...]:
    """Run the trials; a signal ends them in good order, so that no process is left."""
    loop, work = asyncio.get_running_loop(), asyncio.current_task()
    assert work is not None
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, work.cancel)
    try:
        return await _trials(subject, method, seeds, settings)
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _trials(
    subject: Subject, method: Method, seeds: tuple[int, ...], settings: Settings
) -> tuple[Trial, ...]:
    contenders = (subject.start, subject.champion)
    planned = list(schedule(contenders, seeds))
    if method == "construction":
        planned = [(contender, 0) for contender in contenders]

    def start(task: Task) -> LocalExecutor:
        return LocalExecutor(task, slots=1, sandbox=settings.sandbox)

    trials: list[Trial] = []
    for contender, seed in planned:
        trial = await run_trial(start, subject.task, contender, method=method, seed=seed)
        trials.append(trial)
        settings.on_trial(trial, len(trials), len(planned))
        if trial.failure and trial.side == "champion":
            break  # one failure decides, and the next trial may take minutes to fail likewise
    return tuple(trials)


def _certificate(
    subject: Subject,
    method: Method,
    seeds: tuple[int, ...],
    trials: tuple[Trial, ...],
    settings: Settings,
) -> Certificate:
    task = subject.task
    measured = task.file.measured
    ratio = measured is not None and measured.ratio
    found = judge(trials, task.objectives, ratio=ratio)
    if method == "construction" and found.verdict == "holds":
        false = contradicts_claim(trials, subject.selection.metrics, task.objectives)
        found = Judgement("does not hold", false, found.effect) if false else found
    certificate = Certificate(
        format=FORMAT,
        verdict=found.verdict,
        reason=found.reason,
        method=method,
        trusted=task.trusted and subject.selection.trusted,
        task=TaskRecord(
            name=task.name,
            digest=task.digest(),
            kind=task.kind,
            folder="" if ships(task) else subject.task_folder,
            objectives=tuple(
                ObjectiveRecord(name=o.name, direction=o.direction, weight=o.weight)
                for o in task.objectives
            ),
            ratio=ratio,
        ),
        program=record_of(subject.champion, subject),
        start=record_of(subject.start, subject),
        selection=subject.selection,
        seeds=seeds,
        trials=trials,
        effect=found.effect,
        environment=environment(settings.sandbox),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        repeats="" if subject.origin is None else subject.origin.sha256,
    )
    return certificates.seal(certificate)
