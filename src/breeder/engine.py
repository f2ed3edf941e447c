"""The engine: an asynchronous loop; a step is select, propose, evaluate, judge, place, record.

Where the task measures, champions are made by confirmation on fresh samples, which steps see to.

Steps run side by side: as many as there are slots, plus enough to hide the latency of proposing.
With one slot steps run one after the other, so that equal seeds give equal archives. Everything
that a step decides (judge, place, record) happens without yielding, so steps never see each other
half done; an evaluation is committed before any later step can draw it.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from breeder.admission import Refusal
from breeder.archive.store import EvaluationRecord
from breeder.confirmation import Confirmation
from breeder.core import Elite, Evaluation, Placement, Program
from breeder.errors import NothingAchievedError
from breeder.executors.executor import Job
from breeder.progress import (
    Candidate,
    FadingMean,
    Parts,
    Progress,
    Rise,
    Settings,
    Verdict,
    elite_of,
    search_job,
    settle,
)
from breeder.proposers.proposer import Draw, Outcome, Proposal
from breeder.racing import Race

DRY_LIMIT = 2000  # proposals in a row without a new program: the edits are exhausted
STATE_INTERVAL = 25  # evaluations between two snapshots of the proposers' state
TICK = 0.25  # seconds between two looks at the clock while nothing finishes


class Engine:
    """Evolves a task's program until the budget is used, a stop rule is met, or it is stopped.

    Args:
        parts: archive, proposers, executor, store, ledger.
        settings: seed and search options.
        progress: where an earlier sitting ended.
        on_change: called after every recorded evaluation and about four times a second.
    """

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        *,
        progress: Progress | None = None,
        on_change: Callable[[Engine], None] = lambda engine: None,
    ) -> None:
        self.parts = parts
        self.settings = settings
        self.progress = progress or Progress()
        self.on_change = on_change
        self.rises: deque[Rise] = deque(maxlen=5)
        self._steps: set[asyncio.Task[Any]] = set()
        self._evaluating: set[asyncio.Task[Any]] = set()
        self._free = asyncio.Semaphore(parts.executor.slots)
        self._stop_reason = ""
        self._latency = FadingMean()
        self._duration = FadingMean()
        self._unsaved = 0
        race = self.progress.race = self.progress.race or Race.of(parts.task)
        self._confirmation = (
            Confirmation(
                parts, settings, self.progress, race, evaluate=self._in_slot, crowned=self._rise
            )
            if race
            else None
        )

    async def step(self) -> None:
        """Make and judge one new program."""
        draw, island, number = self.select()
        candidate = await self.propose(draw, island, number)
        if candidate is None:
            return
        evaluation = await self.evaluate(candidate)
        verdict = self.judge(evaluation)
        placement = self.place(candidate, evaluation, verdict)
        self.record(candidate, evaluation, verdict, placement)
        self.learn(candidate, evaluation, verdict, placement)
        await self.confirm()

    def select(self) -> tuple[Draw, int, int]:
        """Draw a parent and inspirations; each draw has a random stream of its own."""
        number = self.progress.draws
        self.progress.draws += 1
        rng = random.Random(f"{self.settings.seed}:{number}")
        parents = self.parts.archive.draw(rng, inspirations=self.settings.inspirations)
        draw = Draw(
            parent=parents.parent,
            inspirations=parents.inspirations,
            rng=rng,
            best=self._best_fitness(),
            stagnation=self.progress.stagnation,
        )
        return draw, parents.island, number

    async def propose(self, draw: Draw, island: int, number: int) -> Candidate | None:
        """Ask the mixture for a program; None when nothing new came of it."""
        begin = self.parts.ledger.clock.wall()
        offer = await self.parts.mixture.propose(draw)
        self._latency.add(self.parts.ledger.clock.wall() - begin)
        settle(self.parts, self.progress)
        if offer is None:
            self._discard("mixture", "none")
            return None
        name, proposal = offer
        self.parts.ledger.charge("propose", proposal.cost)
        parent = self._origin(proposal, draw)
        admitted = self.parts.admission.admit(name, proposal, parent)
        if isinstance(admitted, Refusal):
            outcome = Outcome(proposal, None, None, draw.parent.fitness, Placement.REJECTED)
            self.parts.mixture.learn(name, outcome)
            self._discard(name, admitted.value)
            return None
        self.progress.dry = 0
        return Candidate(admitted, name, proposal, draw.parent, island, number)

    async def evaluate(self, candidate: Candidate) -> Evaluation:
        """Run the candidate through the cascade, with the best construction so far at hand."""
        try:
            return await self._in_slot(lambda: self._job(candidate.program))
        except asyncio.CancelledError:
            self.parts.admission.forget(candidate.program)
            raise

    def judge(self, evaluation: Evaluation) -> Verdict:
        """Fitness of an evaluation and by how much it beats the best."""
        if evaluation.failure is not None:
            return Verdict(None, None, 0.0)
        task, champion = self.parts.task, self.progress.champion
        value, merit = task.fitness(evaluation.metrics), task.merit(evaluation.metrics)
        if race := self.progress.race:
            race.scale.read(evaluation)  # a score without an interval ends the run here
            return Verdict(value, merit, 0.0)
        gain = max(0.0, value - champion.fitness) if champion is not None else 0.0
        return Verdict(value, merit, gain)

    def place(self, candidate: Candidate, evaluation: Evaluation, verdict: Verdict) -> Placement:
        """Offer an admissible program to its parent's island."""
        if verdict.fitness is None:
            return Placement.REJECTED
        if verdict.gain > 0:
            self.progress.champion = Elite(candidate.program, evaluation, verdict.fitness)
        elite = elite_of(self.parts.task, candidate.program, evaluation)
        return self.parts.archive.place(elite, candidate.island)

    def record(
        self, candidate: Candidate, evaluation: Evaluation, verdict: Verdict, placement: Placement
    ) -> None:
        """Commit the evaluation, and keep the books."""
        row = EvaluationRecord(
            program_id=candidate.program.id,
            evaluation=evaluation,
            draw=candidate.draw,
            island=candidate.island,
            fitness=verdict.fitness,
            placement=placement,
            gain=verdict.gain,
            elapsed=self.parts.ledger.elapsed(),
        )
        self.parts.store.record(candidate.program, row)
        self._count(evaluation)
        if verdict.gain > 0 and self.progress.champion is not None:
            self._rise(self.progress.champion)

    async def confirm(self) -> None:
        """Let the best scores race on fresh samples when it is their turn."""
        if self._confirmation is not None:
            await self._confirmation.advance()
            self.on_change(self)

    def learn(
        self, candidate: Candidate, evaluation: Evaluation, verdict: Verdict, placement: Placement
    ) -> None:
        """Let the proposer learn what became of its program."""
        outcome = Outcome(
            candidate.proposal,
            evaluation,
            verdict.merit,
            candidate.parent.fitness,
            placement,
            verdict.gain,
            candidate.program,
        )
        self.parts.mixture.learn(candidate.proposer, outcome)
        self._save_state(force=False)
        self.on_change(self)

    async def run(self) -> str:
        """Search until something ends it; return why, in words.

        Raises:
            NothingAchievedError: the initial program itself failed.
            BreederError: ours or the evaluator's fault; everything finished is committed.
        """
        try:
            if self.progress.start is None:
                await self._begin()
            if self._confirmation is not None:
                await self._confirmation.take_up()
                await self.confirm()
            while not self._ended():
                self._top_up()
                await self._wait()
            await self._drain()
            if self._confirmation is not None:
                await self._confirmation.finish()
        finally:
            await self._cancel(self._steps)
            self._save_state(force=True)
        return self._stop_reason

    def stop(self, reason: str) -> None:
        """End the run after the evaluations under way. Proposals under way are dropped."""
        self._stop_reason = self._stop_reason or reason
        if self._confirmation is not None:
            self._confirmation.halted = True
        for step in self._steps - self._evaluating:
            step.cancel()

    def in_flight(self) -> int:
        """Number of evaluations under way."""
        return len(self._evaluating)

    def width(self) -> int:
        """How many steps to run side by side: the slots, and enough to hide proposing.

        By Little's law a slot that evaluates for E seconds needs L/E steps in the proposing phase
        when proposing takes L seconds; half a slot more absorbs their spread.
        """
        slots = self.parts.executor.slots
        if self.settings.ahead is not None:
            return slots + self.settings.ahead
        if slots == 1:
            return 1
        ratio = self._latency.value / max(self._duration.value, 1e-3)
        hidden = min(math.ceil(slots * ratio * 1.25), 16 * slots)
        return slots + max(slots // 2, 1) + hidden

    async def _begin(self) -> None:
        """Evaluate the initial program and put it on every island's first place."""
        program = self.parts.admission.start(self.parts.task.files)
        evaluation = await self.parts.executor.evaluate(self._job(program))
        verdict = self.judge(evaluation)
        placement = Placement.REJECTED
        if verdict.fitness is not None:
            self.progress.start = Elite(program, evaluation, verdict.fitness)
            self.progress.champion = self.progress.start
            placement = self.parts.archive.place(elite_of(self.parts.task, program, evaluation), 0)
        row = EvaluationRecord(
            program_id=program.id,
            evaluation=evaluation,
            island=0,
            fitness=verdict.fitness,
            placement=placement,
            elapsed=self.parts.ledger.elapsed(),
        )
        if self._confirmation is not None and evaluation.failure is None:
            self._confirmation.enter_start(program, row)
        else:
            self.parts.store.record(program, row)
        self.parts.ledger.charge("search", evaluation.cost)
        self.parts.ledger.evaluations += 1
        if evaluation.failure is not None:
            what = str(evaluation.failure).partition("\n")[0]
            raise NothingAchievedError(
                f"the initial program failed: {what}; mend it, or look closer with "
                f"`breeder check {self.parts.task.folder}`"
            )

    async def _in_slot(self, job: Callable[[], Job]) -> Evaluation:
        """Run a job as soon as a slot is free; it is made only then, with what is known by then."""
        me = asyncio.current_task()
        assert me is not None
        try:
            async with self._free:
                self._evaluating.add(me)
                begin = self.parts.ledger.clock.wall()
                evaluation = await self.parts.executor.evaluate(job())
        finally:
            self._evaluating.discard(me)
        self._duration.add(self.parts.ledger.clock.wall() - begin)
        return evaluation

    def _top_up(self) -> None:
        if self.progress.dry >= DRY_LIMIT and self._evaluating:
            return  # what is under way may open new ground; do not spin meanwhile
        room = self.width() - len(self._steps)
        budget = self.parts.ledger.budget.evaluations
        if budget is not None:
            left = budget - self.parts.ledger.evaluations - len(self._steps)
            room = min(room, left)
        for _ in range(room):
            self._steps.add(asyncio.get_running_loop().create_task(self.step()))

    async def _wait(self) -> None:
        done, self._steps = await asyncio.wait(
            self._steps, timeout=TICK, return_when=asyncio.FIRST_COMPLETED
        )
        for step in done:
            if not step.cancelled():
                step.result()
        if not done:
            self.on_change(self)

    async def _drain(self) -> None:
        """Let evaluations under way finish; drop what has not reached a slot."""
        await self._cancel(self._steps - self._evaluating)
        self._steps &= self._evaluating
        while self._steps:
            await self._wait()

    async def _cancel(self, steps: set[asyncio.Task[Any]]) -> None:
        for step in steps:
            step.cancel()
        await asyncio.gather(*steps, return_exceptions=True)

    def _ended(self) -> bool:
        if not self._stop_reason:
            self._stop_reason = self._reason_to_stop()
        return bool(self._stop_reason)

    def _reason_to_stop(self) -> str:
        plateau = self.settings.plateau
        if limit := settle(self.parts, self.progress):
            return f"budget used: {limit.replace('_', ' ')}"
        if self._confirmation is not None and self._confirmation.claims_the_rest():
            return f"budget used: {self.parts.ledger.remaining().limit.replace('_', ' ')}"
        if plateau is not None and self.progress.stagnation >= plateau:
            return f"plateau: {plateau} evaluations without improvement"
        if self.progress.dry >= DRY_LIMIT and not self._evaluating:
            return f"exhausted: {DRY_LIMIT} proposals in a row gave no new program"
        return ""

    def _count(self, evaluation: Evaluation) -> None:
        self.parts.ledger.charge("search", evaluation.cost)
        self.parts.ledger.evaluations += 1
        self.progress.promotion.take(self.parts.task.file.stage, evaluation)
        if evaluation.failure is not None:
            self.progress.failures[evaluation.failure.kind.value] += 1
        else:
            self.progress.succeeded += 1
        self.progress.dry = min(self.progress.dry, DRY_LIMIT // 2)
        self.progress.stagnation += 1

    def _rise(self, champion: Elite) -> None:
        """Note a new champion."""
        self.progress.stagnation = 0
        ledger, found = self.parts.ledger, champion.evaluation.metrics
        self.rises.append(Rise(ledger.evaluations, ledger.elapsed(), champion.program, found))

    def _origin(self, proposal: Proposal, draw: Draw) -> Program:
        """The main parent: usually the drawn one, but a proposer may go on with an earlier one."""
        drawn = draw.parent.program
        if not proposal.parents or proposal.parents[0] == drawn.id:
            return drawn
        return self.parts.store.program(proposal.parents[0])

    def _discard(self, proposer: str, reason: str) -> None:
        self.progress.discards[proposer, reason] += 1
        self.progress.dry += 1

    def _best_fitness(self) -> float:
        best = self.parts.archive.best()
        return best.fitness if best is not None else -math.inf

    def _job(self, program: Program) -> Job:
        return search_job(self.parts, self.progress, program, self.settings.seed)

    def _save_state(self, *, force: bool) -> None:
        self._unsaved += 1
        if not force and self._unsaved < STATE_INTERVAL:
            return
        self._unsaved = 0
        books = {"draws": self.progress.draws, "engine_cpu": self.parts.ledger.engine_cpu()}
        counts = {name: str(value).encode() for name, value in books.items()}
        self.parts.store.save_state({**self.parts.state(), **counts})
        self.parts.store.save_discards(dict(self.progress.discards))
