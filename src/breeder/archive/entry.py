"""What an archive keeps of an elite, and when one entry beats another."""

from __future__ import annotations

from dataclasses import dataclass
from operator import ge

from breeder.archive.grid import Cell
from breeder.core import Elite

Scores = tuple[float, ...]


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
        """Whether it takes a cell from `other`: by dominance first, by rank second."""
        if dominates(self.scores, other.scores):
            return True
        return not dominates(other.scores, self.scores) and self.rank < other.rank


def dominates(one: Scores, other: Scores) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better."""
    return one != other and all(map(ge, one, other))
