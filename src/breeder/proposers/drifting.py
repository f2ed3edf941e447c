"""Drifting: several numeric constants of a parent at once, by a little.

A (mu + 1) evolution strategy whose population is the archive: the parent is whoever the archive
draws, the child takes part at once. Where a few hundred evaluations are all there is, this climbs
faster than CMA-ES, whose mean moves once a generation and which has as many generations as
constants before its covariance tells it anything. The step size follows the one-fifth success rule
(Rechenberg 1973, in the form of Kern et al. 2004). Mostly a few constants move, as the effects of
weights in a sum are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from breeder.proposers.constants import Template

_SIGMA, _LEAST, _MOST = 0.3, 0.03, 1.0
_RAISE = 1.5
_FEW = 3  # constants that a move of only some changes, on average
_ALL = 0.2  # chance of moving them all


@dataclass(frozen=True, slots=True)
class Drift:
    """A move of many constants. `sigma` is its step size in the internal coordinate."""

    sigma: float


class Drifting:
    """Draws moves of many constants and adapts their size to how often they pay."""

    def __init__(self) -> None:
        self.sigma = _SIGMA

    def draw(self, structure: Template, rng: Random) -> tuple[Drift, tuple[bytes, ...]] | None:
        """New spellings of a program's own constants; None where nothing would change."""
        constants = [constant for _, constant in structure.constants]
        chance = 1.0 if rng.random() < _ALL else min(1.0, _FEW / max(1, len(constants)))
        spellings = tuple(
            one.spelled(one.at(self.sigma * rng.gauss(0.0, 1.0)))
            if rng.random() < chance
            else one.text
            for one in constants
        )
        if spellings == tuple(one.text for one in constants):
            return None
        return Drift(self.sigma), spellings

    def learn(self, *, paid: bool) -> None:
        """Take larger steps after one that led to a better program, smaller ones otherwise."""
        factor = _RAISE if paid else _RAISE**-0.25
        self.sigma = min(_MOST, max(_LEAST, self.sigma * factor))
