"""Mixture: a bandit that shares the budget among proposers by gain per unit of cost.

Thompson sampling with discounting (Raj and Kalyani 2017, arXiv 1707.09727): each proposer's reward
per evaluation has a Beta posterior whose counts fade, so that a proposer that paid early and no
more gives way. A draw from the posterior is divided by the proposer's mean cost; the largest wins.
A floor keeps every proposer alive, because the one that stalls now may be needed later.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from breeder.core import Placement
from breeder.proposers.proposer import Draw, Outcome, Proposal, Proposer

DISCOUNT = 0.99
FLOOR = 0.08


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


class ProposerShare(NamedTuple):
    """What one proposer did so far: share of evaluations, counts, summed gain of the best."""

    name: str
    share: float
    evaluations: int
    improvements: int
    gain: float


def reward(outcome: Outcome) -> float:
    """Worth of an outcome in [0, 1]: a new champion 1, else what it added to the archive.

    A child that opens or improves a cell is material for later steps: it earns 0.3 when it is not
    worse than its parent and 0.05 when it is only different. The size of a gain does not count:
    late in a run gains are small by nature and matter as much.
    """
    if outcome.gain > 0:
        return 1.0
    if not outcome.placement or outcome.fitness is None:
        return 0.0
    if outcome.placement is Placement.IMPROVED or outcome.fitness > outcome.parent_fitness:
        return 0.3 if outcome.fitness >= outcome.parent_fitness else 0.05
    return 0.05


class Mixture:
    """Chooses a proposer for each draw and learns from outcomes.

    Args:
        proposers: at least one; names must differ.
        stages: number of stages in the task's cascade; a full cascade costs 1 unit.
    """

    def __init__(self, proposers: Sequence[Proposer], *, stages: int = 1) -> None:
        self._proposers = {proposer.name: proposer for proposer in proposers}
        if not proposers or len(self._proposers) != len(proposers):
            raise ValueError("a mixture needs proposers of different names")
        self._stages = max(stages, 1)
        self._arms = {name: _Arm() for name in self._proposers}
        self.declined: Counter[str] = Counter()

    async def propose(self, draw: Draw) -> Offer | None:
        """Ask proposers, in an order drawn by the bandit, until one has something to offer."""
        for name in self._order(draw.rng):
            proposal = await self._proposers[name].propose(draw)
            if proposal is not None:
                return Offer(name, proposal)
            self.declined[name] += 1
        return None

    def learn(self, name: str, outcome: Outcome) -> None:
        """Credit an outcome to the proposer `name` and let it learn."""
        arm = self._arms[name]
        if outcome.evaluation is not None:
            for other in self._arms.values():
                other.reward *= DISCOUNT
                other.tries *= DISCOUNT
                other.cost *= DISCOUNT
            arm.reward += reward(outcome)
            arm.tries += 1.0
            arm.cost += self._cost(outcome)
            arm.evaluations += 1
            arm.improvements += outcome.gain > 0
            arm.gain += max(outcome.gain, 0.0)
        self._proposers[name].learn(outcome)

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
        """What must survive a stop: one entry per proposer and one for the bandit."""
        arms = {
            name: [a.reward, a.tries, a.cost, a.evaluations, a.improvements, a.gain]
            for name, a in self._arms.items()
        }
        states = {f"proposer:{name}": p.state() for name, p in self._proposers.items()}
        return {**states, "mixture": msgspec.msgpack.encode(arms)}

    def restore(self, states: dict[str, bytes]) -> None:
        """Take up the entries that `state` gave; missing ones are skipped."""
        for name, proposer in self._proposers.items():
            proposer.restore(states.get(f"proposer:{name}", b""))
        arms = states.get("mixture", b"")
        if not arms:
            return
        for name, values in msgspec.msgpack.decode(arms, type=dict[str, list[float]]).items():
            if name in self._arms:
                r, tries, cost, evaluations, improvements, gain = values
                self._arms[name] = _Arm(r, tries, cost, int(evaluations), int(improvements), gain)

    def _order(self, rng: random.Random) -> list[str]:
        names = list(self._proposers)
        value = {name: self._sample(arm, rng) for name, arm in self._arms.items()}
        order = sorted(names, key=lambda name: -value[name])
        if rng.random() < FLOOR * len(names):
            first = rng.choice(names)
            order.remove(first)
            order.insert(0, first)
        return order

    def _sample(self, arm: _Arm, rng: random.Random) -> float:
        worth = rng.betavariate(0.5 + arm.reward, 1.0 + max(arm.tries - arm.reward, 0.0))
        mean_cost = (arm.cost + 1.0) / (arm.tries + 1.0)
        return worth / mean_cost

    def _cost(self, outcome: Outcome) -> float:
        assert outcome.evaluation is not None
        return max(outcome.evaluation.stages_run, 1) / self._stages
