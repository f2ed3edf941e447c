"""How parents are selected: the options, and the power law over ranks."""

from __future__ import annotations

import random
from bisect import bisect
from itertools import accumulate

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SelectionConfig(BaseModel):
    """Shape of the archive and shares of the ways in which a parent is drawn.

    Attributes:
        islands: number of islands; they mix by migration only.
        migration_interval: placements (all islands together) between two migrations; 0 for never.
        reset_after: placements on an island without a rise of its best, after which it restarts
            from the best of all, unless that was found on it; 0 for never.
        explore: share of parents drawn uniformly from the island's occupied cells.
        exploit: share of parents drawn from the island's best by a power law over their ranks.
            What is left after `explore` and `exploit` goes to the island's best.
        rank_power: the best is drawn with weight 1, the r-th best with weight r ** -rank_power.
        elites: how many of its best an island keeps beside its grid.
        front: bound on the Pareto front; it plays no part with a single objective.
        front_share: share of parents drawn from the front when there are several objectives,
            taken before the other shares.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    islands: int = Field(default=2, ge=1, le=64)
    migration_interval: int = Field(default=80, ge=0)
    reset_after: int = Field(default=1000, ge=0)
    explore: float = Field(default=0.3, ge=0, le=1)
    exploit: float = Field(default=0.5, ge=0, le=1)
    rank_power: float = Field(default=1.2, ge=0, le=10)
    elites: int = Field(default=20, ge=1, le=1000)
    front: int = Field(default=64, ge=2, le=1000)
    front_share: float = Field(default=0.3, ge=0, le=1)

    @model_validator(mode="after")
    def _shares(self) -> SelectionConfig:
        if self.explore + self.exploit > 1.0 + 1e-9:
            raise ValueError("explore and exploit together must not exceed 1")
        return self


class RankLaw:
    """Draws ranks 0, 1, ... with probability proportional to (rank + 1) ** -power."""

    def __init__(self, power: float, capacity: int) -> None:
        self._cumulative = list(accumulate((r + 1) ** -power for r in range(capacity)))

    def draw(self, count: int, rng: random.Random) -> int:
        """Return a rank below `count`, which is at least 1 and at most the capacity."""
        target = rng.random() * self._cumulative[count - 1]
        return bisect(self._cumulative, target, 0, count - 1)
