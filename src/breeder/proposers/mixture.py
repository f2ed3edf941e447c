"""Mixture: a bandit that shares the budget among proposers by gain per unit of cost.

Thompson sampling with discounting (Raj and Kalyani 2017, arXiv 1707.09727): each proposer's reward
per evaluation has a Beta posterior whose counts fade, so that a proposer that paid early and no
more gives way. A draw from the posterior is divided by the proposer's mean cost; the largest wins.
A floor keeps every proposer alive, because the one that stalls now may be needed later.

Proposers that work in the background (language models) may have nothing ready; the next in the
order is asked then, so evaluations never wait for them unless nobody has anything to offer.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from breeder.core import Cost, Elite
from breeder.proposers.exchange import Exchange
from breeder.proposers.proposer import Draw, Outcome, Proposal, Proposer
from breeder.proposers.reward import CROWNED, reward

DISCOUNT = 0.99
FLOOR = 0.08
COST_FLOOR = 0.15
"""Share of what a run spends, up to which a proposer with costs of its own is kept alive."""
TRIAL_SHARE = 0.3
"""The same while it is on trial."""
HELD = 0.3
"""Share of a run's evaluations that wait for an offer that is being computed on this machine."""
_MOST_PARENTS = 8192
"""Parents whose children are counted; the ones without a child for longest are forgotten."""


class Offer(NamedTuple):
    """A proposal and the name of the proposer that made it."""

    proposer: str
    proposal: Proposal


@dataclass(slots=True)
class _Arm:
    reward: float = 0.0  # discounted sum of rewards
    tries: float = 0.0  # discounted number of outcomes
    cost: float = 0.0  # discounted sum of costs
    evaluations: int = 0
    improvements: int = 0
    gain: float = 0.0
    spent: float = 0.0  # in evaluations, beside evaluations; never fades
    bills: int = 0  # times that something was spent


@runtime_checkable
class Background(Protocol):
    """What the mixture asks of a proposer whose programs come from elsewhere, at a cost."""

    def weight(self, draw: Draw) -> float:
        """Factor on the bandit's estimate for this draw; 1.0 is neutral."""
        ...

    def on_trial(self) -> bool:
        """Whether it is to be asked first, as too little is known of it."""
        ...

    def awaited(self) -> bool:
        """Whether an offer is under way that the end of the run should not cut off."""
        ...

    async def ready(self) -> bool:
        """Wait until there may be something to offer; False when that will not be."""
        ...

    def spent(self) -> Cost:
        """What it used since the last call, whatever came of it."""
        ...


@runtime_checkable
class Follower(Protocol):
    """A proposer that goes on with what others have found."""

    def invite(self, elite: Elite) -> None:
        """Offer it a program of another proposer that entered the archive."""
        ...


class ProposerShare(NamedTuple):
    """What one proposer did so far: share of evaluations, counts, summed gain of the best."""

    name: str
    share: float
    evaluations: int
    improvements: int
    gain: float


class Mixture:
    """Chooses a proposer for each draw and learns from outcomes.

    Args:
        proposers: at least one; names must differ.
        stages: number of stages in the task's cascade; a full cascade costs 1 unit.
        exchange: what else is worth how many units.
    """

    def __init__(
        self, proposers: Sequence[Proposer], *, stages: int = 1, exchange: Exchange | None = None
    ) -> None:
        self._proposers = {proposer.name: proposer for proposer in proposers}
        if not proposers or len(self._proposers) != len(proposers):
            raise ValueError("a mixture needs proposers of different names")
        self._stages = max(stages, 1)
        self._exchange = exchange or Exchange()
        self._background = {p.name: p for p in proposers if isinstance(p, Background)}
        self._arms = {name: _Arm() for name in self._proposers}
        self.declined: Counter[str] = Counter()
        self._open = 0  # offers whose outcome is not known yet
        self._children: dict[str, int] = {}  # parent -> its children that were evaluated

    async def propose(self, draw: Draw) -> Offer | None:
        """Ask proposers, in an order drawn by the bandit, until one has something to offer.

        Where none has, those that work in the background are awaited and asked once more. Fast
        evaluations do not use up a run before a slow proposer has had its word: the last share
        of them waits for what it has under way.
        """
        draw = replace(draw, children=self._children.get(draw.parent.program.id, 0))
        while first := self._held_for():
            await self._any_ready(first)
        offer = await self._ask(self._order(draw), draw)
        if offer is None and await self._any_ready(self._background.values()):
            offer = await self._ask(list(self._background), draw)
        self._open += offer is not None
        return offer

    def _held_for(self) -> list[Background]:
        """Whose offer the next evaluation waits for."""
        made = sum(arm.evaluations for arm in self._arms.values()) + self._open
        if self._exchange.over(made) < 1.0 - HELD:
            return []
        return [proposer for proposer in self._background.values() if proposer.awaited()]

    async def _ask(self, names: Sequence[str], draw: Draw) -> Offer | None:
        for name in names:
            proposal = await self._proposers[name].propose(draw)
            if proposal is not None:
                return Offer(name, proposal)
            self.declined[name] += 1
        return None

    async def _any_ready(self, proposers: Iterable[Background]) -> bool:
        """Wait for the first of them that may have something; False when none will."""
        waiting = {asyncio.ensure_future(proposer.ready()) for proposer in proposers}
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if any(one.result() for one in done):
                    return True
        finally:
            for one in waiting:
                one.cancel()
        return False

    def learn(self, name: str, outcome: Outcome) -> None:
        """Credit an outcome to the proposer `name` and let it learn.

        A program that entered the archive is offered to those who go on with what others found.
        """
        arm = self._arms[name]
        self._open = max(0, self._open - 1)
        for who, proposer in self._background.items():
            worth = self._exchange.evaluations(proposer.spent())
            self._arms[who].cost += worth
            self._arms[who].spent += worth
            self._arms[who].bills += worth > 0
        if outcome.evaluation is not None:
            self._born(outcome.proposal.parents[:1])
            for other in self._arms.values():
                other.reward *= DISCOUNT
                other.tries *= DISCOUNT
                other.cost *= DISCOUNT
            self._exchange.evaluated(outcome.evaluation.cost)
            arm.reward += reward(outcome)
            arm.tries += 1.0
            arm.cost += self._cost(outcome)
            arm.evaluations += 1
            arm.improvements += outcome.gain > 0
            arm.gain += max(outcome.gain, 0.0)
        self._proposers[name].learn(outcome)
        if outcome.placement and name in self._background:
            self._invite(outcome)

    def credit(self, name: str, gain: float) -> None:
        """Credit a proposer whose program became champion after it had learnt of its score.

        Names of proposers that are not of this mixture (the start's, those of another sitting) are
        passed over.
        """
        if arm := self._arms.get(name):
            arm.reward = min(arm.reward + CROWNED, arm.tries)
            arm.improvements += 1
            arm.gain += gain

    def _born(self, parents: Sequence[str]) -> None:
        for parent in parents:
            self._children[parent] = self._children.pop(parent, 0) + 1
            if len(self._children) > _MOST_PARENTS:
                del self._children[next(iter(self._children))]

    def _invite(self, outcome: Outcome) -> None:
        program, evaluation, fitness = outcome.program, outcome.evaluation, outcome.fitness
        if program is None or evaluation is None or fitness is None:
            return
        for proposer in self._proposers.values():
            if isinstance(proposer, Follower):
                proposer.invite(Elite(program, evaluation, fitness))

    def shares(self) -> tuple[ProposerShare, ...]:
        """Share of evaluations, counts and gain of each proposer, in order of configuration."""
        total = sum(arm.evaluations for arm in self._arms.values())
        return tuple(
            ProposerShare(
                name, arm.evaluations / max(total, 1), arm.evaluations, arm.improvements, arm.gain
            )
            for name, arm in self._arms.items()
        )

    def state(self) -> dict[str, bytes]:
        """What must survive a stop: one entry per proposer, the bandit's, the children's."""
        arms = {
            name: [
                a.reward,
                a.tries,
                a.cost,
                a.evaluations,
                a.improvements,
                a.gain,
                a.spent,
                a.bills,
            ]
            for name, a in self._arms.items()
        }
        states = {f"proposer:{name}": p.state() for name, p in self._proposers.items()}
        own = {"mixture": arms, "children": self._children}
        return {**states, **{name: msgspec.msgpack.encode(one) for name, one in own.items()}}

    def restore(self, states: dict[str, bytes]) -> None:
        """Take up the entries that `state` gave; missing ones are skipped."""
        for name, proposer in self._proposers.items():
            proposer.restore(states.get(f"proposer:{name}", b""))
        if children := states.get("children", b""):
            self._children = msgspec.msgpack.decode(children, type=dict[str, int])
        arms = states.get("mixture", b"")
        if not arms:
            return
        for name, values in msgspec.msgpack.decode(arms, type=dict[str, list[float]]).items():
            if name in self._arms:
                r, tries, cost, evaluations, improvements, gain, *rest = values
                spent, bills = (*rest, 0.0, 0.0)[:2]
                self._arms[name] = _Arm(
                    r, tries, cost, int(evaluations), int(improvements), gain, spent, int(bills)
                )

    def _order(self, draw: Draw) -> list[str]:
        names, rng = list(self._proposers), draw.rng
        value = {name: self._sample(arm, rng) for name, arm in self._arms.items()}
        for name, proposer in self._background.items():
            value[name] *= proposer.weight(draw)
            if proposer.on_trial() and self._cost_share(name) <= TRIAL_SHARE:
                value[name] = math.inf
        order = sorted(names, key=lambda name: -value[name])
        if rng.random() < FLOOR * len(names):
            first = rng.choice(names)
            # A request may cost as much as hundreds of evaluations: a floor in draws is none.
            if self._cost_share(first) <= COST_FLOOR:
                order.remove(first)
                order.insert(0, first)
        return order

    def _cost_share(self, name: str) -> float:
        """Share of all that is spent which a proposer uses beside its evaluations.

        What it would be after one more bill like those before: a request is large beside a short
        run, and looking only at what is past lets every share be exceeded by one.
        """
        arm = self._arms[name]
        next_bill = arm.spent / arm.bills if arm.bills else 0.0
        total = sum(one.spent + one.evaluations for one in self._arms.values())
        return (arm.spent + next_bill) / max(total + next_bill, 1.0)

    def _sample(self, arm: _Arm, rng: random.Random) -> float:
        worth = rng.betavariate(0.5 + arm.reward, 1.0 + max(arm.tries - arm.reward, 0.0))
        mean_cost = (arm.cost + 1.0) / (arm.tries + 1.0)
        return worth / mean_cost

    def _cost(self, outcome: Outcome) -> float:
        assert outcome.evaluation is not None
        return max(outcome.evaluation.stages_run, 1) / self._stages
