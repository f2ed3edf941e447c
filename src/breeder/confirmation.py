"""Confirmation: calls challengers out of the archive, one at a time, and runs their heats."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from breeder.archive.entry import fitness_error
from breeder.archive.records import ChallengeOutcome, ChallengeRecord, EvaluationRecord
from breeder.core import Cost, Elite, Evaluation, Program
from breeder.errors import NothingAchievedError
from breeder.executors.executor import Job
from breeder.progress import Parts, Progress, Settings, carried, elite_of
from breeder.racing import Challenge, Figures, Race, pool

SHARE = 1 / 3
"""Share of the CPU time of evaluations up to which the search lets challengers race."""
FINALISTS = 3
"""Challenges that are decided when the search has ended, whatever was spent on others before."""


class Confirmation:
    """Decides challenges on fresh samples alone; see `racing`.

    Heats are charged to the ledger's phase `confirm`, inside the run's budget: a challenge that it
    cuts off stays open, and is gone on with when the run is resumed with more. Every heat is
    committed before it is used, every outcome before the archive hears of it. What comes next
    follows from what is stored, so that a killed run goes on as it would have gone on.

    Args:
        parts, settings, progress: as of the engine.
        race: where the race stands.
        evaluate: makes a job and runs it as soon as a slot is free.
        crowned: told of every new champion but the start.
    """

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        progress: Progress,
        race: Race,
        *,
        evaluate: Callable[[Callable[[], Job]], Awaitable[Evaluation]],
        crowned: Callable[[Elite], None],
    ) -> None:
        self.race = race
        self.halted = False
        self._parts, self._settings, self._progress = parts, settings, progress
        self._evaluate, self._crowned = evaluate, crowned
        self._turn = asyncio.Lock()

    def enter_start(self, program: Program, row: EvaluationRecord) -> None:
        """Commit the start's search evaluation together with its confirmation to come."""
        opened = ChallengeRecord(0, 0, elapsed=row.elapsed)
        number = self._parts.store.record(program, row, challenge=opened)
        self.race.open_for(Challenge(0, number, program, row.evaluation))

    async def take_up(self) -> None:
        """Give the start its heats; decide what an earlier sitting ended before deciding.

        Raises:
            NothingAchievedError: the start fails in one.
        """
        async with self._turn:
            if challenge := self.race.under_way():
                self._decided(challenge)
            self._foremost()
            while 0 in self.race.open and not self._barred():
                await self._go_on()

    async def advance(self) -> None:
        """Race on while heats have used less than their share; returns at once where others do."""
        self._foremost()
        if self._turn.locked():
            return
        async with self._turn:
            while not self._barred() and self._within_share() and await self._go_on():
                pass

    async def finish(self) -> None:
        """Let the last ones race when the search has ended, as far as the budget goes."""
        async with self._turn:
            decided = sum(self.race.outcomes.values())
            while not self._barred() and sum(self.race.outcomes.values()) < decided + FINALISTS:
                if not await self._go_on(final=True):
                    return

    def claims_the_rest(self) -> bool:
        """Whether what is left of the budget is just what a challenge would use."""
        race = self.race
        if not race.heats or self.halted:
            return False
        used = self._parts.ledger.phases["confirm"]
        challenge = race.under_way()
        scale = (race.rules.heats - (challenge.run if challenge else 0)) / race.heats
        ahead = Cost(scale * used.cpu_seconds, scale * used.wall_seconds)
        if not self._parts.ledger.resources_exhausted(ahead):
            return False
        return challenge is not None or self._foremost(final=True) is not None

    def _barred(self) -> bool:
        return self.halted or self._parts.ledger.resources_exhausted()

    def _within_share(self) -> bool:
        phases = self._parts.ledger.phases
        heats, search = phases["confirm"].cpu_seconds, phases["search"].cpu_seconds
        return heats <= SHARE * (heats + search)

    def _foremost(self, *, final: bool = False) -> Elite | None:
        cells = self._parts.archive.cells()
        return self.race.foremost((cell.elite for cell in cells), final=final)

    async def _go_on(self, *, final: bool = False) -> bool:
        """Run one more heat and decide by it; False when nobody challenges."""
        challenge = self.race.under_way() or self._call(final=final)
        if challenge is None:
            return False
        if not self._decided(challenge):
            await self._heat(challenge)
            self._decided(challenge)
        return True

    def _decided(self, challenge: Challenge) -> bool:
        """Conclude a challenge at once where its heats say enough, whoever may spend what."""
        outcome = self.race.decide(challenge)
        if outcome is ChallengeOutcome.OPEN:
            return False
        self._conclude(challenge, outcome)
        return True

    def _call(self, *, final: bool) -> Challenge | None:
        """Open the challenge of who is surest to be ahead."""
        elite = self._foremost(final=final)
        row = None if elite is None else self._parts.store.searched(elite.program.id)
        if elite is None or row is None:
            return None
        number = self.race.last + 1
        elapsed = self._parts.ledger.elapsed()
        self._parts.store.challenge(
            ChallengeRecord(number, row.id, against=self.race.to_beat, elapsed=elapsed)
        )
        challenge = Challenge(number, row.id, elite.program, row.evaluation)
        self.race.open_for(challenge)
        return challenge

    async def _heat(self, challenge: Challenge) -> None:
        challenge.against = self.race.to_beat
        runner = self.race.runs_next(challenge)
        program = runner.program
        # Fresh, but not random: a resumed run repeats the heat that was cut off.
        rng = random.Random(f"{self._settings.seed}:{program.id}:heat {runner.run}")
        job = Job(
            program,
            split="confirm",
            construction=carried(self._parts.task, self._progress),
            seed=rng.randrange(2**31),
            to_beat=self.race.to_beat,
        )
        evaluation = await self._evaluate(lambda: job)
        self._parts.ledger.charge("confirm", evaluation.cost)
        self.race.heats += 1
        failure = evaluation.failure
        row = EvaluationRecord(
            program_id=program.id,
            evaluation=evaluation,
            split="confirm",
            fitness=None if failure else self._parts.task.fitness(evaluation.metrics),
            elapsed=self._parts.ledger.elapsed(),
        )
        challenge.last = self._parts.store.record(program, row)
        if failure is None:
            runner.heats.append(self.race.scale.read(evaluation))
        if runner is not challenge:
            self._defended(runner, challenge)
        else:
            challenge.failure = failure

    def _defended(self, holder: Challenge, challenge: Challenge) -> None:
        """The champion's figures are those of all its heats from now on."""
        challenge.defences += 1
        parts, value, stored = self._parts, self._pooled(holder), self._parts.store.confirmed()
        assert stored is not None
        record = replace(
            stored, value=value.value, low=value.low, high=value.high, heats=holder.run
        )
        parts.store.challenge(record)
        revised = record.revise(holder.evaluation, self.race.scale.metric)
        assert revised is not None
        parts.archive.revise(holder.program.id, elite_of(parts.task, holder.program, revised))
        self._hold(holder, revised)

    def _pooled(self, challenge: Challenge) -> Figures:
        return self.race.scale.figures(pool(challenge.heats))

    def _conclude(self, challenge: Challenge, outcome: ChallengeOutcome) -> None:
        parts, race = self._parts, self.race
        record = self._record(challenge, outcome)
        revised = record.revise(challenge.evaluation, race.scale.metric)
        crowned = outcome is ChallengeOutcome.CONFIRMED and revised is not None
        gain = self._gain(revised) if crowned and challenge.number and revised else 0.0
        parts.store.conclude(record, gain=gain)
        del race.open[challenge.number]
        if challenge.number:
            race.outcomes[outcome] += 1
        elif challenge.failure is not None:
            what = str(challenge.failure).partition("\n")[0]
            raise NothingAchievedError(f"the initial program failed to be confirmed: {what}")
        program = challenge.program
        elite = None if revised is None else elite_of(parts.task, program, revised)
        parts.archive.revise(program.id, elite)
        if crowned and revised is not None:
            self._crown(challenge, revised, gain)
        self._foremost()

    def _record(self, challenge: Challenge, outcome: ChallengeOutcome) -> ChallengeRecord:
        pooled = challenge.heats and challenge.failure is None
        value, low, high = self._pooled(challenge) if pooled else (None, None, None)
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

    def _gain(self, revised: Evaluation) -> float:
        champion = self._progress.champion
        value = self._parts.task.fitness(revised.metrics)
        return 0.0 if champion is None else max(0.0, value - champion.fitness)

    def _crown(self, challenge: Challenge, revised: Evaluation, gain: float) -> None:
        champion = self._hold(challenge, revised)
        if challenge.number:
            self._parts.mixture.credit(champion.program.proposer, gain)
            self._crowned(champion)

    def _hold(self, challenge: Challenge, revised: Evaluation) -> Elite:
        """Let a challenge be the champion's, with what its heats say."""
        task, progress = self._parts.task, self._progress
        error = fitness_error(task.objectives, revised.intervals)
        champion = Elite(challenge.program, revised, task.fitness(revised.metrics), error)
        progress.champion = champion
        self.race.holder = challenge
        if challenge.number == 0:
            progress.start = champion
        return champion
