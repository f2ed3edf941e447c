"""What an archive keeps of an elite, and when one entry beats another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge

from breeder.archive.grid import Cell
from breeder.core import Elite, Objective

Scores = tuple[float, ...]

SUPPORT = 1.0
"""How many standard errors of their difference one measured elite must be ahead of another.

Mild on purpose: parents are drawn by it, and who becomes champion is decided elsewhere.
"""
INTERVAL_ERRORS = 2 * 1.959964
"""Width of a 95 % interval in standard errors."""


@dataclass(slots=True, eq=False)
class Entry:
    """A kept elite with everything that comparisons need, computed once.

    Attributes:
        elite: the elite itself; islands that exchanged it share one entry.
        cell: its cell.
        scores: its objectives, signed so that higher is better.
        rank: (-fitness, size, number of its placement); the lowest is the best, so that equal
            fitness goes to the smaller program and then to the older one.
    """

    elite: Elite
    cell: Cell
    scores: Scores
    rank: tuple[float, int, int]

    @property
    def number(self) -> int:
        """Number of the placement that brought it, from 0."""
        return self.rank[2]

    def beats(self, other: Entry) -> bool:
        """Whether it takes a cell from `other`: by dominance first, by rank second.

        Where fitness is measured, only a difference that the errors support counts.
        """
        spread = math.hypot(self.elite.error, other.elite.error)
        if spread > 0:
            return self.elite.fitness - other.elite.fitness > SUPPORT * spread
        if dominates(self.scores, other.scores):
            return True
        return not dominates(other.scores, self.scores) and self.rank < other.rank


def fitness_error(
    objectives: Sequence[Objective],
    intervals: Mapping[str, tuple[float, float]],
    merit_name: str | None = None,
) -> float:
    """Standard error of `core.merit` as the 95 % intervals of its metrics give it.

    A metric without an interval counts as exact.
    """
    weights = {o.name: o.weight for o in objectives} if merit_name is None else {merit_name: 1.0}
    return math.hypot(
        *(
            weights[name] * (high - low) / INTERVAL_ERRORS
            for name, (low, high) in intervals.items()
            if name in weights
        )
    )


def dominates(one: Scores, other: Scores) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better."""
    return one != other and all(map(ge, one, other))
