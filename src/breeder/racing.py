"""Racing: which measured score is a challenge, and what fresh samples make of it.

Of many equal programs the luckiest score is far above the truth (the winner's curse). So a score
that selection saw only earns a challenger the right to be measured again, on fresh inputs and with
fresh samples, in up to `heats` heats; these alone are pooled and tested against the champion's own
confirmed value, whose standard error counts as well.

Fresh samples cost many times what a score costs, and half of all lucky scores are not worth them.
So challengers are not taken as they come: whenever heats have used less than their share of the
CPU time, the one of the archive that is surest to be ahead challenges.

Error bound: the k-th challenge of a run is tested at level error * 6 / (pi^2 k^2), split over its
looks (Bonferroni). The levels sum to `error` however many challenges there are, so by the union
bound that is the probability, at most, that a run in which no program is better crowns one. The
normal quantiles rest on the evaluator's intervals being honest; where heats disagree more than
those say, the pooled error is widened by the Birge ratio (Birge 1932), and one heat never confirms.

Defence: a value to beat that is known less well than the challenger's would decide nothing, however
often the challenger were measured. So a heat goes to the champion where its error is the larger one
(of two samples, the one with the larger error gains most by one more). It counts as a look, and
among the heats of the challenge, like any other.

Futility: a challenge also ends when it is not ahead, or when its value at the last heat would fall
short even at the upper 95 % limit of its prediction. That can only lower the error.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

from breeder.archive.entry import INTERVAL_ERRORS, SUPPORT
from breeder.archive.records import ChallengeOutcome
from breeder.core import Elite, Evaluation, Failure, Objective, Program
from breeder.errors import TaskError
from breeder.task import Task

LEAST_HEATS = 2  # one process on one set of inputs may be lucky as a whole
OPTIMISM = 1.645  # standard errors from a value to its one-sided 95 % limit
POWER = 1.282  # standard errors above what is needed of what falls short one time in ten
LEAST_ERROR = 1e-9  # keeps weights finite where a measurement claims to be exact


class Estimate(NamedTuple):
    """A measured value on the comparison scale, higher is better, with its standard error."""

    value: float
    error: float

    @property
    def low(self) -> float:
        """Its lower 95 % limit."""
        return self.value - OPTIMISM * self.error


class Figures(NamedTuple):
    """A measured value in units of its metric, with its 95 % interval."""

    value: float
    low: float
    high: float


class Scale:
    """Between a metric and the scale on which it is compared: logarithmic where it is a ratio."""

    def __init__(self, objective: Objective, *, ratio: bool) -> None:
        self.metric = objective.name
        self._sign = objective.direction.sign
        self._ratio = ratio

    def read(self, evaluation: Evaluation) -> Estimate:
        """Return the measured metric of a successful evaluation.

        Raises:
            TaskError: it has no interval, or is a ratio whose interval does not lie above 0.
        """
        value, interval = evaluation.metrics[self.metric], evaluation.intervals.get(self.metric)
        if interval is None:
            raise TaskError(
                "task.toml",
                "measured.metric",
                f"an evaluation gave no interval for {self.metric!r}",
                "return Result(metrics, intervals={name: (low, high)}) from evaluate.py",
            )
        low, high = interval
        if not self._ratio:
            return Estimate(self._sign * value, max((high - low) / INTERVAL_ERRORS, LEAST_ERROR))
        if min(low, value) <= 0:
            raise TaskError(
                "task.toml",
                "measured.ratio",
                f"{self.metric} = {value:.6g} with interval ({low:.6g}, {high:.6g}) is no ratio",
                "keep both above 0, or set ratio = false",
            )
        error = math.log(high / low) / INTERVAL_ERRORS
        return Estimate(self._sign * math.log(value), max(error, LEAST_ERROR))

    def figures(self, estimate: Estimate) -> Figures:
        """Return an estimate in units of the metric."""
        half = estimate.error * INTERVAL_ERRORS / 2
        middle = self._sign * estimate.value
        ends = (middle, middle - half, middle + half)
        return Figures(*(math.exp(end) for end in ends)) if self._ratio else Figures(*ends)


def pool(heats: Sequence[Estimate]) -> Estimate:
    """Mean of heats weighted by inverse variance, its error widened where they disagree.

    Args:
        heats: at least one.
    """
    weights = [heat.error**-2 for heat in heats]
    total = sum(weights)
    value = sum(w * heat.value for w, heat in zip(weights, heats, strict=True)) / total
    error = total**-0.5
    if len(heats) > 1:
        spread = sum(w * (h.value - value) ** 2 for w, h in zip(weights, heats, strict=True))
        error *= max(1.0, math.sqrt(spread / (len(heats) - 1)))
    return Estimate(value, error)


@dataclass(frozen=True, slots=True)
class Rules:
    """How challenges are decided; see `task_file.MeasuredSection`.

    Attributes:
        heats: most heats of one challenge.
        error: bound on crowning a program that is no better, over a whole run.
    """

    heats: int
    error: float

    @property
    def heats_of_start(self) -> int:
        """What the start gets: its error counts in every test, and most leads are larger."""
        return min(self.heats, max(LEAST_HEATS, self.heats // 2))

    def quantile(self, number: int) -> float:
        """How many standard errors challenge `number`, from 1, must be ahead at each look."""
        looks = max(1, self.heats - LEAST_HEATS + 1)
        level = self.error * 6 / (math.pi * number) ** 2
        return -NormalDist().inv_cdf(level / looks)

    def decide(
        self,
        number: int,
        heats: Sequence[Estimate],
        champion: Sequence[Estimate],
        defences: int = 0,
    ) -> ChallengeOutcome:
        """Return what the heats so far come to; `OPEN` when one more is worth its cost.

        Args:
            number: of the challenge, from 1.
            heats: of the challenger.
            champion: every heat of the champion.
            defences: how many of those were run for this challenge.
        """
        mine, theirs, count = pool(heats), pool(champion), len(heats)
        lead, quantile = mine.value - theirs.value, self.quantile(number)
        error = math.hypot(mine.error, theirs.error)
        if lead > quantile * error and count >= min(LEAST_HEATS, self.heats):
            return ChallengeOutcome.CONFIRMED
        left = self.heats - count - defences
        if left <= 0 or lead <= 0:
            return ChallengeOutcome.REFUTED
        # With heats still to come the error falls to `final`, and the lead wanders by the rest.
        final = _shared(
            mine.error**2 * count, count, theirs.error**2 * len(champion), len(champion), left
        )
        wander = math.sqrt(max(0.0, error**2 - final**2))
        if lead + OPTIMISM * wander <= quantile * final:
            return ChallengeOutcome.REFUTED
        return ChallengeOutcome.OPEN

    def least_lead(self, number: int, champion: Sequence[Estimate]) -> float:
        """The true lead with which a challenge would be confirmed nine times in ten.

        Heats of the challenger are taken to be as noisy as those of the champion.
        """
        count = len(champion)
        variance = pool(champion).error ** 2 * count
        error = _shared(variance, 0, variance, count, self.heats)
        return (self.quantile(number) + POWER) * error


def _shared(mine: float, count: int, theirs: float, known: int, left: int) -> float:
    """Standard error of a lead after `left` more heats, shared out at best.

    `mine` and `theirs` are variances of one heat of the challenger, which has had `count` of them,
    and of the champion, which has had `known`.
    """
    return math.sqrt(
        min(
            mine / (count + left - defences) + theirs / (known + defences)
            for defences in range(left + (count > 0))  # the challenger has one heat at least
        )
    )


@dataclass(slots=True)
class Challenge:
    """A program that races, with the fresh heats it has run so far.

    Attributes:
        number: 0 for the start, then 1, 2, ...
        row: id of the search evaluation by which it challenged.
        evaluation: that evaluation.
        heats: what its heats measured.
        last: id of its last heat's evaluation.
        failure: why a heat failed.
        defences: heats that the champion ran meanwhile.
        against: the value it raced against at its last heat.
    """

    number: int
    row: int
    program: Program
    evaluation: Evaluation
    heats: list[Estimate] = field(default_factory=list)
    last: int | None = None
    failure: Failure | None = None
    defences: int = 0
    against: float | None = None

    @property
    def run(self) -> int:
        """How many heats were run, a failed one included."""
        return len(self.heats) + (self.failure is not None)


@dataclass(slots=True)
class Race:
    """Where the race for champion of a run stands.

    Attributes:
        holder: the challenge of who is champion; None until the start is confirmed.
        last: number of the last challenge that was opened; -1 before the start's.
        open: challenges that are not decided; usually one at most.
        raced: ids of the programs that have challenged, whatever came of it.
        scores: by which they did. Where an evaluator remembers what it measured, a program that
            does the same has the very same score, and would race for what is decided.
        surest: lower limit of what the challenger under way has, or of the score of who would be
            ahead; -inf without either.
        heats: how many heats were run.
        outcomes: how many challenges of the rest came to what, the start left out.
    """

    scale: Scale
    rules: Rules
    holder: Challenge | None = None
    last: int = -1
    open: dict[int, Challenge] = field(default_factory=dict)
    raced: set[str] = field(default_factory=set)
    scores: set[Estimate] = field(default_factory=set)
    heats: int = 0
    surest: float = -math.inf
    outcomes: Counter[ChallengeOutcome] = field(default_factory=Counter)

    @classmethod
    def of(cls, task: Task) -> Race | None:
        """The race of a run of a task that measures, before its start; None for exact tasks."""
        measured = task.file.measured
        if measured is None:
            return None
        objective = next(o for o in task.objectives if o.name == measured.metric)
        rules = Rules(measured.heats, measured.error)
        return cls(Scale(objective, ratio=measured.ratio), rules)

    @property
    def champion(self) -> Estimate | None:
        """The champion's confirmed value; None until the start is confirmed."""
        return None if self.holder is None else pool(self.holder.heats)

    @property
    def to_beat(self) -> float | None:
        """The champion's confirmed value in units of the metric."""
        champion = self.champion
        return None if champion is None else self.scale.figures(champion).value

    @property
    def to_beat_in_search(self) -> float | None:
        """What a score must exceed to matter, in units of the metric.

        The champion's confirmed value, or what the next challenger has for sure, if that is more:
        between two confirmations the search is ahead of the champion.
        """
        champion = self.champion
        if champion is None:
            return None
        bar = Estimate(max(champion.value, self.surest), 0.0)
        return self.scale.figures(bar).value

    def open_for(self, challenge: Challenge) -> None:
        """Let a program race that has not raced before."""
        self.last = challenge.number
        self.open[challenge.number] = challenge
        self.raced.add(challenge.program.id)
        self.scores.add(self.scale.read(challenge.evaluation))

    def under_way(self) -> Challenge | None:
        """The oldest challenge that is not decided."""
        return self.open[min(self.open)] if self.open else None

    def foremost(self, elites: Iterable[Elite], *, final: bool = False) -> Elite | None:
        """Who is surest to be ahead of the champion among those that never raced.

        Brings `surest` up to date.

        None where nobody is ahead for sure (its lower 95 % limit is above the champion's value) by
        as much as heats can decide: each challenge costs heats, and makes the next ones harder to
        win.

        Args:
            elites: of the archive.
            final: let those race, too, whose lead is small, or no more than chance usually gives
                (the margin is the archive's own): the search has ended.
        """
        champion = self.champion
        if champion is None:
            return None
        best, lowest, height = None, -math.inf, -math.inf
        least = self.rules.least_lead(self.last + 1, self._holder().heats)
        for elite in elites:
            if elite.program.id in self.raced:
                continue
            score = self.scale.read(elite.evaluation)
            lead = score.value - champion.value
            if score in self.scores or lead <= SUPPORT * math.hypot(score.error, champion.error):
                continue
            height = max(height, score.low)
            sure = lead >= least and score.low > champion.value
            if (final or sure) and score.low > lowest:
                best, lowest = elite, score.low
        if challenge := self.under_way():
            known = challenge.heats or [self.scale.read(challenge.evaluation)]
            height = max(height, pool(known).low)
        self.surest = height
        return best

    def decide(self, challenge: Challenge) -> ChallengeOutcome:
        """Return what a challenge has come to so far."""
        if challenge.failure is not None:
            return ChallengeOutcome.REFUTED
        if challenge.number == 0:
            full = len(challenge.heats) >= self.rules.heats_of_start
            return ChallengeOutcome.CONFIRMED if full else ChallengeOutcome.OPEN
        if not challenge.heats:
            return ChallengeOutcome.OPEN
        holder, known = self._holder(), challenge.heats
        return self.rules.decide(challenge.number, known, holder.heats, challenge.defences)

    def runs_next(self, challenge: Challenge) -> Challenge:
        """Whose program runs the next heat of a challenge: its own, or the champion's."""
        if challenge.number == 0 or len(challenge.heats) < LEAST_HEATS:
            return challenge
        holder = self._holder()
        return holder if pool(holder.heats).error > pool(challenge.heats).error else challenge

    def _holder(self) -> Challenge:
        assert self.holder is not None, "the start is confirmed before anyone challenges it"
        return self.holder
