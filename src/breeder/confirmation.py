"""Confirmation: runs the heats of challengers, one challenge at a time, and keeps the outcome."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from breeder.archive.entry import fitness_error
from breeder.archive.records import ChallengeOutcome, ChallengeRecord, EvaluationRecord
from breeder.core import Elite, Evaluation, Program
from breeder.errors import NothingAchievedError
from breeder.executors.executor import Job
from breeder.progress import Parts, Progress, Settings, Verdict, carried, elite_of
from breeder.racing import Challenge, Race, pool


class Confirmation:
    """Decides the open challenges of a run on fresh samples alone; see `racing`.

    Heats are charged to the ledger's phase `confirm`, inside the run's budget: a challenge that it
    cuts off stays open, and is gone on with when the run is resumed with more. Every heat is
    committed before it is used, every outcome before the archive hears of it.

    Args:
        parts, settings, progress: as of the engine.
        race: where the race stands.
        evaluate: makes a job and runs it as soon as a slot is free.
    """

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        progress: Progress,
        race: Race,
        evaluate: Callable[[Callable[[], Job]], Awaitable[Evaluation]],
    ) -> None:
        self.race = race
        self.halted = False
        self._parts, self._settings, self._progress = parts, settings, progress
        self._evaluate = evaluate
        self._turn = asyncio.Lock()

    def open(self, program: Program, row: EvaluationRecord, number: int) -> None:
        """Commit a search evaluation together with the challenge that it opens."""
        race = self.race
        opened = ChallengeRecord(number, 0, against=race.to_beat, elapsed=row.elapsed)
        found = self._parts.store.record(program, row, challenge=opened)
        race.last = number
        race.open[number] = Challenge(number, found, program, row.evaluation)

    async def settle(self, challenge: Challenge) -> Verdict | None:
        """Run a challenge to its end, after those that came before it; return what it earned.

        None when it stays open, or lapsed: then what the search saw stands.

        Raises:
            NothingAchievedError: the start fails where it is to be confirmed.
        """
        async with self._turn:
            while challenge.number in self.race.open:
                outcome = self.race.decide(challenge)
                if outcome is not ChallengeOutcome.OPEN:
                    return self._conclude(challenge, outcome)
                if self.halted or self._parts.ledger.resources_exhausted():
                    return None
                await self._heat(challenge)
        return None

    async def settle_all(self) -> None:
        """Run every open challenge to its end, in order."""
        for number in sorted(self.race.open):
            await self.settle(self.race.open[number])

    async def _heat(self, challenge: Challenge) -> None:
        challenge.against = self.race.to_beat
        program = challenge.program
        # Fresh, but not random: a resumed run repeats the heat that was cut off.
        rng = random.Random(f"{self._settings.seed}:{program.id}:heat {challenge.run}")
        job = Job(
            program,
            split="confirm",
            construction=carried(self._parts.task, self._progress),
            seed=rng.randrange(2**31),
            to_beat=self.race.to_beat,
        )
        evaluation = await self._evaluate(lambda: job)
        self._parts.ledger.charge("confirm", evaluation.cost)
        failure = evaluation.failure
        row = EvaluationRecord(
            program_id=program.id,
            evaluation=evaluation,
            split="confirm",
            fitness=None if failure else self._parts.task.fitness(evaluation.metrics),
            elapsed=self._parts.ledger.elapsed(),
        )
        challenge.last = self._parts.store.record(program, row)
        challenge.failure = failure
        if failure is None:
            challenge.heats.append(self.race.scale.read(evaluation))

    def _conclude(self, challenge: Challenge, outcome: ChallengeOutcome) -> Verdict | None:
        record = self._record(challenge, outcome)
        revised = record.revise(challenge.evaluation, self.race.scale.metric)
        verdict = self._verdict(challenge, outcome, revised)
        self._parts.store.conclude(record, gain=verdict.gain)
        del self.race.open[challenge.number]
        if challenge.number:
            self.race.outcomes[outcome] += 1
        if outcome is ChallengeOutcome.LAPSED:
            return None
        if challenge.number == 0 and challenge.failure is not None:
            what = str(challenge.failure).partition("\n")[0]
            raise NothingAchievedError(f"the initial program failed to be confirmed: {what}")
        if outcome is ChallengeOutcome.CONFIRMED and revised is not None:
            self._crown(challenge, revised)
        program = challenge.program
        elite = None if revised is None else elite_of(self._parts.task, program, revised)
        self._parts.archive.revise(program.id, elite)
        return verdict

    def _record(self, challenge: Challenge, outcome: ChallengeOutcome) -> ChallengeRecord:
        scale = self.race.scale
        pooled = challenge.heats and challenge.failure is None
        value, low, high = scale.figures(pool(challenge.heats)) if pooled else (None, None, None)
        return ChallengeRecord(
            challenge.number,
            challenge.row,
            outcome,
            against=challenge.against,
            value=value,
            low=low,
            high=high,
            heats=challenge.run,
            decided=challenge.last,
            elapsed=self._parts.ledger.elapsed(),
        )

    def _verdict(
        self, challenge: Challenge, outcome: ChallengeOutcome, revised: Evaluation | None
    ) -> Verdict:
        if revised is None:
            return Verdict(None, None, 0.0)
        task, champion = self._parts.task, self._progress.champion
        value = task.fitness(revised.metrics)
        rose = outcome is ChallengeOutcome.CONFIRMED and challenge.number > 0
        gain = max(0.0, value - champion.fitness) if rose and champion is not None else 0.0
        return Verdict(value, task.merit(revised.metrics), gain)

    def _crown(self, challenge: Challenge, revised: Evaluation) -> None:
        task, progress = self._parts.task, self._progress
        error = fitness_error(task.objectives, revised.intervals)
        value = task.fitness(revised.metrics)
        progress.champion = Elite(challenge.program, revised, value, error)
        if challenge.number == 0:
            progress.start = progress.champion
        self.race.champion = pool(challenge.heats)
