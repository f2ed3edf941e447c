"""Runs the catalogue through the real executor and says of each cheat what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from breeder.core import Evaluation, FailureKind, Program
from breeder.executors.executor import Executor, Job, Split
from breeder.executors.local import LocalExecutor
from breeder.machine import cores
from breeder.task import Task
from breeder.verification.cheats.catalogue import (
    START,
    Chapter,
    Cheat,
    Honest,
    chapters,
    source_files,
)
from breeder.verification.cheats.report import CheatOutcome, CheatReport, HonestOutcome

_SEED = 17
_AT_ONCE = 2

_RESOLUTION = 0.2
"""What a measured score may gain, as a share, and still count as nothing: the upper end of its 95 %
interval must lie below. So a measurement too wide to tell never clears a cheat."""

_TRIES = 3
"""Measurements of a cheat whose interval holds that limit. One that gains more passes for nothing
with at most `_TRIES` times the 2.5 % by which an interval lies too low."""

Outcome = TypeVar("Outcome", CheatOutcome, HonestOutcome)


def run_all(
    on_result: Callable[[CheatOutcome], None] | None = None,
    *,
    on_honest: Callable[[HonestOutcome], None] | None = None,
    fast: bool = False,
    tasks: Collection[str] = (),
) -> CheatReport:
    """Evaluate every cheat and every honest variant, two at once where there are two cores.

    Args:
        on_result: called with each cheat's outcome as it is known; reports keep the catalogue's
            order.
        on_honest: the same for honest variants.
        fast: leave out what is marked slow.
        tasks: only these tasks, by folder; empty means all.

    Raises:
        SandboxUnavailableError: no sandbox on this machine.
        EvaluatorError: a task's evaluator is at fault, which no cheat is to blame for.
    """
    chosen = [one for one in chapters() if not tasks or one.task in tasks]
    tell_cheat, tell_honest = on_result or _ignore, on_honest or _ignore
    return asyncio.run(_run(chosen, tell_cheat, tell_honest, fast=fast))


def _ignore(_: object) -> None:
    """Nobody asked."""


async def _run(
    chosen: Sequence[Chapter],
    on_result: Callable[[CheatOutcome], None],
    on_honest: Callable[[HonestOutcome], None],
    *,
    fast: bool,
) -> CheatReport:
    cheats: list[CheatOutcome] = []
    honest: list[HonestOutcome] = []
    cpu_seconds = 0.0
    slots = min(_AT_ONCE, cores())
    for chapter in chosen:
        task = chapter.load_task()
        executor = LocalExecutor(task, slots=slots)
        await executor.start()
        try:
            trial = Trial(chapter, task, executor, slots)
            variants = [one for one in chapter.honest if not (fast and one.slow)]
            tried = [one for one in chapter.cheat if not (fast and one.slow)]
            async with asyncio.TaskGroup() as group:
                refused = [group.create_task(_told(trial.honest(v), on_honest)) for v in variants]
                caught = [group.create_task(_told(trial.cheat(c), on_result)) for c in tried]
        except ExceptionGroup as errors:  # the first one says why the others ended, too
            raise errors.exceptions[0] from None
        finally:
            await executor.close()
        honest += [one.result() for one in refused]
        cheats += [one.result() for one in caught]
        cpu_seconds += trial.cpu_seconds
    return CheatReport(tuple(cheats), tuple(honest), cpu_seconds)


async def _told(trial: Awaitable[Outcome], tell: Callable[[Outcome], None]) -> Outcome:
    outcome = await trial
    tell(outcome)
    return outcome


class Trial:
    """Evaluates the programs of one chapter; what honest variants score is remembered.

    Args:
        chapter: the programs.
        task: their task.
        executor: of that task, started.
        slots: programs tried at the same time; others wait, and their seconds do not count.

    Attributes:
        cpu_seconds: CPU time of all evaluations so far.
    """

    def __init__(self, chapter: Chapter, task: Task, executor: Executor, slots: int) -> None:
        self._chapter = chapter
        self._task = task
        self._executor = executor
        self._free = asyncio.Semaphore(slots)
        self.cpu_seconds = 0.0
        self._codes = {START: "", **{one.name: one.code for one in chapter.honest}}
        self._known: dict[tuple[str, Split], asyncio.Task[Evaluation]] = {}
        # As a verification does: a seed that no program can have been written for.
        self._seeds = {"verify": secrets.randbits(62)}

    async def honest(self, variant: Honest) -> HonestOutcome:
        """Evaluate an honest variant: it must come through every check."""
        async with self._free:
            begin = time.monotonic()
            evaluation = await self._reference(variant.name, variant.split)
        return HonestOutcome(
            variant.name,
            self._chapter.task,
            variant.what,
            refused=evaluation.failure is not None,
            by=str(evaluation.failure or self._score(evaluation, ())),
            seconds=time.monotonic() - begin,
        )

    async def cheat(self, cheat: Cheat) -> CheatOutcome:
        """Evaluate a cheat: it must fail for the reason stated, or come to nothing."""
        async with self._free:
            begin = time.monotonic()
            caught, by = await self._caught(cheat)
        return CheatOutcome(
            cheat.name, self._chapter.task, cheat.tries, caught, by, time.monotonic() - begin
        )

    async def _caught(self, cheat: Cheat) -> tuple[bool, str]:
        """Whether it was caught, and by what."""
        by = ""
        for _ in range(_TRIES if self._task.file.measured and cheat.like else 1):
            evaluation = await self._evaluate(self._chapter.region_of(cheat), cheat.split)
            if evaluation.failure is not None:
                return self._named(cheat, evaluation), str(evaluation.failure)
            if not cheat.like:
                return False, f"NOT CAUGHT: scores {self._score(evaluation, cheat.metrics):.6g}"
            honest = self._chapter.start_score if cheat.like == START else None
            if honest is None:
                reference = await self._reference(cheat.like, cheat.split)
                if reference.failure is not None:
                    return False, f"the honest {cheat.like} beside it failed: {reference.failure}"
                honest = self._score(reference, cheat.metrics)
            gains, by = self._gains(cheat, evaluation, honest)
            if gains is not None:
                return not gains, by
        return False, by

    def _named(self, cheat: Cheat, evaluation: Evaluation) -> bool:
        failure = evaluation.failure
        if failure is None or failure.kind is FailureKind.EVALUATOR:
            return False
        if cheat.like and failure.kind is FailureKind.THRESHOLD:
            return True  # scored, and too low to go on: it has come to nothing
        return failure.kind in cheat.kinds and cheat.words in str(failure)

    def _gains(
        self, cheat: Cheat, evaluation: Evaluation, honest: float
    ) -> tuple[bool | None, str]:
        """Whether it has more than the same work earns honestly; None: the measure is too wide."""
        own = self._score(evaluation, cheat.metrics)
        limit, (low, high) = honest + cheat.margin, (own, own)
        scores = f"{own:.6g}"
        if self._task.file.measured:
            limit += _RESOLUTION * abs(honest)
            low, high = self._ends(evaluation)
            scores += f" ({low:.4g} .. {high:.4g})"
        if high <= limit:
            gains, said = False, "score not earned: measured as"
        elif low > limit:
            gains, said = True, "NOT CAUGHT: scores"
        else:
            gains, said = None, "NOT CAUGHT: too noisy to tell, scores"
        work = f"the same work done honestly ({cheat.like}) {honest:.6g}"
        return gains, f"{said} {scores}, {work}"

    async def _reference(self, name: str, split: Split) -> Evaluation:
        """Evaluate an honest program once, however many ask for it."""
        if (name, split) not in self._known:
            evaluating = self._evaluate(self._codes[name], split)
            self._known[name, split] = asyncio.create_task(evaluating)
        return await self._known[name, split]

    async def _evaluate(self, code: str, split: Split) -> Evaluation:
        files = source_files(self._task, code)
        digest = hashlib.sha256("\0".join(files.values()).encode("utf-8", "replace")).hexdigest()
        # A parent makes what breaks the evaluator a failure of this program, as in a run.
        program = Program(digest[:16], files, parents=(START,), proposer="cheats")
        seed = self._seeds.get(split, _SEED)
        evaluation = await self._executor.evaluate(Job(program, split, None, seed))
        self.cpu_seconds += evaluation.cost.cpu_seconds
        return evaluation

    def _score(self, evaluation: Evaluation, metrics: Sequence[str]) -> float:
        if metrics:
            return sum(evaluation.metrics[name] for name in metrics)
        return self._task.fitness(evaluation.metrics)

    def _ends(self, evaluation: Evaluation) -> tuple[float, float]:
        objective = self._task.objectives[0]
        ends = evaluation.intervals.get(objective.name, (-math.inf, math.inf))
        low, high = sorted(objective.direction.sign * end for end in ends)
        return low, high
