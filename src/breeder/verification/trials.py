"""Runs the trials of a verification: one after the other, each in a fresh evaluator process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from breeder.core import Evaluation, Program
from breeder.errors import CertificateError, InvalidConstructionError
from breeder.executors.executor import Executor, Job
from breeder.task import Task
from breeder.verification.certificate import Method, Side, Trial

Start = Callable[[Task], Executor]
"""Makes an executor with one slot that has not been started."""


class Contender(NamedTuple):
    """A program that is tried, with the construction that it left behind."""

    side: Side
    program: Program
    construction: bytes | None


def method_for(task: Task, champion: Contender) -> Method:
    """How a champion of `task` is verified: by the strictest way that the task offers."""
    section = task.file.construction
    if section is not None and section.verify is not None and champion.construction is not None:
        return "construction"
    if task.file.verification is not None:
        return "verify"
    return "search" if task.file.held_out is None else "held_out"


def schedule(
    contenders: Sequence[Contender], seeds: Sequence[int]
) -> Iterator[tuple[Contender, int]]:
    """Yield what is run with which seed: seed by seed, the first to run changing every time."""
    for index, seed in enumerate(seeds):
        order = contenders if index % 2 == 0 else contenders[::-1]
        for contender in order:
            yield contender, seed


async def run_trial(
    start: Start, task: Task, contender: Contender, *, method: Method, seed: int
) -> Trial:
    """Evaluate one program once in a process of its own.

    Raises:
        EvaluatorError, SandboxUnavailableError: the task or the machine is at fault.
    """
    if method == "construction":
        return await _check(start, task, contender)
    executor = start(task)
    try:
        await executor.start()
        # From nothing in the search's own stages: a construction handed on would hide the program.
        handed = contender.construction if method != "search" else None
        job = Job(contender.program, _split(method), handed, seed)
        evaluation = await executor.evaluate(job)
    finally:
        await executor.close()
    return _trial(contender.side, seed, evaluation)


async def _check(start: Start, task: Task, contender: Contender) -> Trial:
    if contender.construction is None:
        raise CertificateError(
            f"the {contender.side} left no construction, so none can be compared; "
            "run the task again with this breeder"
        )
    executor = start(task)
    try:
        await executor.start()
        metrics = await executor.check_construction(contender.construction)
    except InvalidConstructionError as error:
        refusal = f"its construction is refused: {error}"
        return Trial(side=contender.side, seed=None, metrics={}, failure=refusal)
    finally:
        await executor.close()
    return Trial(side=contender.side, seed=None, metrics=dict(metrics))


def _split(method: Method) -> Literal["search", "held_out", "verify"]:
    return "verify" if method == "verify" else "held_out" if method == "held_out" else "search"


def _trial(side: Side, seed: int, evaluation: Evaluation) -> Trial:
    return Trial(
        side=side,
        seed=seed,
        metrics=dict(evaluation.metrics),
        intervals=dict(evaluation.intervals),
        failure="" if evaluation.failure is None else str(evaluation.failure),
        cpu_seconds=evaluation.cost.cpu_seconds,
        wall_seconds=evaluation.cost.wall_seconds,
    )
