"""Evaluations on this machine: one evaluator process per slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal

from breeder.core import Cost, Evaluation, Failure, FailureKind
from breeder.errors import EvaluatorError, InvalidConstructionError
from breeder.evaluation import protocol
from breeder.evaluation.plan import plan
from breeder.evaluation.protocol import (
    BaselineMetrics,
    ConstructionMetrics,
    Evaluated,
    Reply,
    Request,
)
from breeder.executors.executor import Job, Split
from breeder.executors.slot import HungError, ProcessLostError, Slot, SlotSettings, environment
from breeder.task import Task

# The task's own baselines run once per task and may tune tables on the way.
_BASELINES_SECONDS = 3_600.0


class LocalExecutor:
    """An `Executor` of evaluator processes on this machine.

    A cancelled evaluation kills its evaluator process, and the sandbox with it; the slot starts
    another one with its next job.

    Args:
        task: the task to evaluate.
        slots: evaluations side by side.
        sandbox: `bubblewrap`, or `none` for no isolation.

    Raises:
        TaskError: the task's programs cannot be run as task.toml says.
    """

    def __init__(
        self,
        task: Task,
        *,
        slots: int = 1,
        sandbox: Literal["bubblewrap", "none"] = "bubblewrap",
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self._plan = plan(task)
        self._trusted = task.trusted
        self._evaluator_seconds = task.file.limits.evaluator_seconds
        settings = SlotSettings(self._plan, sandbox, environment(task.file.task.data))
        self._slots = [Slot(number, settings) for number in range(slots)]
        self._free: asyncio.LifoQueue[Slot] = asyncio.LifoQueue()
        for slot in reversed(self._slots):
            self._free.put_nowait(slot)

    @property
    def slots(self) -> int:
        """How many evaluations run at the same time."""
        return len(self._slots)

    async def start(self) -> None:
        """Start the first slot and load the evaluator in it; the others start with their first job.

        So a mistake in the evaluator is told once, and the initial program, which is evaluated
        alone, does not wait for slots that it leaves idle.

        Raises:
            EvaluatorError: the evaluator cannot be loaded or lacks a function.
            SandboxUnavailableError: no sandbox on this machine.
        """
        try:
            await self._slots[0].start()
        except BaseException:
            await self.close()
            raise

    async def evaluate(self, job: Job) -> Evaluation:
        """Run one job; waits for a free slot.

        A job on a program without parents is the initial program: there, a metric that is missing,
        an exception in the evaluator or a hang is an error of the task. On later programs the same
        becomes a `Failure` of kind EVALUATOR, so that one odd candidate does not end a run.

        Raises:
            EvaluatorError: the evaluator is at fault, or its process died twice on this job.
            SandboxUnavailableError: the sandbox cannot run.
        """
        unreadable = _not_text(job.program.files)
        if unreadable:
            failure = Failure(FailureKind.SYNTAX, f"{unreadable} is not valid text")
            return Evaluation(failure=failure, trusted=self._trusted, seed=job.seed)
        initial = not job.program.parents
        request = protocol.Evaluate(
            dict(job.program.files),
            job.split,
            job.construction,
            job.seed,
            initial,
            job.to_beat,
            dict(job.bounds),
            dict(job.parent),
        )
        timeout = self._timeout(job.split)
        try:
            async with self._slot() as slot:
                reply = await self._ask(slot, request, timeout)
        except HungError as error:
            detail = f"{self._plan.evaluator}: did not answer within {timeout:.0f} s"
            if initial:
                raise EvaluatorError(detail) from None
            return Evaluation(
                failure=Failure(FailureKind.EVALUATOR, detail),
                cost=Cost(error.cpu_seconds, timeout),
                trusted=self._trusted,
                seed=job.seed,
            )
        if not isinstance(reply, Evaluated):
            raise EvaluatorError(f"{self._plan.evaluator}: its process answered out of turn")
        return reply.evaluation

    async def baselines(self, split: Split) -> Mapping[str, Mapping[str, float]]:
        """Metrics of the task's own baselines on a split; empty when the task states none.

        Raises:
            EvaluatorError: `baselines` raised or hung.
        """
        try:
            async with self._slot() as slot:
                reply = await self._ask(slot, protocol.Baselines(split), _BASELINES_SECONDS)
        except HungError:
            raise EvaluatorError(
                f"{self._plan.evaluator}: baselines({split!r}) did not answer within "
                f"{_BASELINES_SECONDS:.0f} s"
            ) from None
        return reply.baselines if isinstance(reply, BaselineMetrics) else {}

    async def check_construction(self, construction: bytes) -> Mapping[str, float]:
        """The metrics that a construction earns, computed from nothing but itself.

        Raises:
            InvalidConstructionError: it breaks the rules; says how.
            EvaluatorError: the task has no function for it, or that function is at fault.
        """
        try:
            async with self._slot() as slot:
                request = protocol.CheckConstruction(construction)
                reply = await self._ask(slot, request, self._evaluator_seconds)
        except HungError:
            raise EvaluatorError(
                f"{self._plan.evaluator}: {self._plan.verify_construction} did not answer within "
                f"{self._evaluator_seconds:.0f} s"
            ) from None
        if not isinstance(reply, ConstructionMetrics):
            raise EvaluatorError(f"{self._plan.evaluator}: its process answered out of turn")
        if reply.refusal:
            raise InvalidConstructionError(reply.refusal)
        return reply.metrics

    async def close(self) -> None:
        """Stop every slot. Safe to call twice."""
        await asyncio.gather(*(slot.close() for slot in self._slots))

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[Slot]:
        slot = await self._free.get()
        try:
            yield slot
        finally:
            self._free.put_nowait(slot)

    async def _ask(self, slot: Slot, request: Request, timeout: float) -> Reply:
        try:
            return await slot.ask(request, timeout)
        except ProcessLostError:
            pass
        try:
            return await slot.ask(request, timeout)
        except ProcessLostError as error:
            raise EvaluatorError(
                f"{self._plan.evaluator}: its process died twice on one job: {error}"
            ) from None

    def _timeout(self, split: Split) -> float:
        alone = {
            "held_out": self._plan.held_out,
            "confirm": self._plan.confirm,
            "verify": self._plan.verify,
        }
        stages = self._plan.stages if split == "search" else (alone[split],)
        candidate = sum(stage.wall_seconds for stage in stages if stage is not None)
        return candidate + self._plan.limits.compile_seconds + self._evaluator_seconds


def _not_text(files: Mapping[str, str]) -> str:
    """Name of a file that UTF-8 cannot hold (lone surrogates), or an empty string."""
    for name, text in files.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            return name
    return ""
