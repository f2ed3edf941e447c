"""Runs the catalogue through the real executor and says of each cheat what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Sequence

from breeder.core import Evaluation, FailureKind, Program
from breeder.executors.executor import Job, Split
from breeder.executors.local import LocalExecutor
from breeder.task import Task
from breeder.verification.cheats.catalogue import Chapter, Cheat, Honest, chapters, source_files
from breeder.verification.cheats.report import CheatOutcome, CheatReport, HonestOutcome

_SEED = 17
_START = "start"


def run_all(
    on_result: Callable[[CheatOutcome], None] | None = None,
    *,
    on_honest: Callable[[HonestOutcome], None] | None = None,
    fast: bool = False,
    tasks: Collection[str] = (),
) -> CheatReport:
    """Evaluate every cheat and every honest variant, one after the other.

    Args:
        on_result: called with each cheat's outcome as it is known.
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
    outcomes: list[CheatOutcome] = []
    honest: list[HonestOutcome] = []
    for chapter in chosen:
        task = chapter.load_task()
        executor = LocalExecutor(task, slots=1)
        await executor.start()
        try:
            trial = Trial(chapter, task, executor)
            for variant in chapter.honest:
                if not (fast and variant.slow):
                    honest.append(await trial.honest(variant))
                    on_honest(honest[-1])
            for cheat in chapter.cheat:
                if not (fast and cheat.slow):
                    outcomes.append(await trial.cheat(cheat))
                    on_result(outcomes[-1])
        finally:
            await executor.close()
    return CheatReport(tuple(outcomes), tuple(honest))


class Trial:
    """Evaluates the programs of one chapter; what honest variants score is remembered.

    Args:
        chapter: the programs.
        task: their task.
        executor: of that task, started.
    """

    def __init__(self, chapter: Chapter, task: Task, executor: LocalExecutor) -> None:
        self._chapter = chapter
        self._task = task
        self._executor = executor
        self._codes = {_START: "", **{one.name: one.code for one in chapter.honest}}
        self._known: dict[tuple[str, Split], Evaluation] = {}
        # As a verification does: a seed that no program can have been written for.
        self._seeds = {"verify": secrets.randbits(62)}

    async def honest(self, variant: Honest) -> HonestOutcome:
        """Evaluate an honest variant: it must come through every check."""
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
        begin = time.monotonic()
        evaluation = await self._evaluate(self._chapter.region_of(cheat), cheat.split)
        if evaluation.failure is None:
            caught, by = await self._earned(cheat, evaluation)
        else:
            caught, by = self._named(cheat, evaluation), str(evaluation.failure)
        return CheatOutcome(
            cheat.name, self._chapter.task, cheat.tries, caught, by, time.monotonic() - begin
        )

    def _named(self, cheat: Cheat, evaluation: Evaluation) -> bool:
        failure = evaluation.failure
        if failure is None or failure.kind is FailureKind.EVALUATOR:
            return False
        return failure.kind in cheat.kinds and cheat.words in str(failure)

    async def _earned(self, cheat: Cheat, evaluation: Evaluation) -> tuple[bool, str]:
        """Whether a cheat that was let through has no more than the same work earns honestly."""
        name = cheat.like or _START
        reference = await self._reference(name, cheat.split)
        if reference.failure is not None:
            return False, f"the honest {name} it is compared with failed: {reference.failure}"
        own, other = (self._score(one, cheat.metrics) for one in (evaluation, reference))
        if self._task.file.measured is not None:
            own_low, other_high = self._ends(evaluation)[0], self._ends(reference)[1]
            caught = own_low <= other_high + cheat.margin
        else:
            caught = own <= other + cheat.margin
        said = "score not earned: measured as" if caught else "NOT CAUGHT: scores"
        by = f"{said} {own:.6g}, the same work done honestly ({name}) as {other:.6g}"
        return caught, by

    async def _reference(self, name: str, split: Split) -> Evaluation:
        if (name, split) not in self._known:
            self._known[name, split] = await self._evaluate(self._codes[name], split)
        return self._known[name, split]

    async def _evaluate(self, code: str, split: Split) -> Evaluation:
        files = source_files(self._task, code)
        digest = hashlib.sha256("\0".join(files.values()).encode("utf-8", "replace")).hexdigest()
        # A parent makes what breaks the evaluator a failure of this program, as in a run.
        program = Program(digest[:16], files, parents=(_START,), proposer="cheats")
        seed = self._seeds.get(split, _SEED)
        return await self._executor.evaluate(Job(program, split, None, seed))

    def _score(self, evaluation: Evaluation, metrics: Sequence[str]) -> float:
        if metrics:
            return sum(evaluation.metrics[name] for name in metrics)
        return self._task.fitness(evaluation.metrics)

    def _ends(self, evaluation: Evaluation) -> tuple[float, float]:
        objective = self._task.objectives[0]
        value = evaluation.metrics[objective.name]
        ends = evaluation.intervals.get(objective.name, (value, value))
        low, high = sorted(objective.direction.sign * end for end in ends)
        return low, high
