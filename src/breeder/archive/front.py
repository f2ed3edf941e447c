"""A bounded Pareto front."""

from __future__ import annotations

import math

from breeder.archive.entry import Entry, dominates


class ParetoFront:
    """Entries that do not dominate each other; of equal scores the older one stays.

    When there are more than `capacity`, the one in the most crowded place goes (crowding distance
    of NSGA-II, Deb et al. 2002); the ends of every objective and the entry of best rank stay. What
    was crowded out is forgotten, so a later entry that it dominated may come in.

    Args:
        capacity: the bound, at least 2.
    """

    def __init__(self, capacity: int) -> None:
        self.entries: list[Entry] = []
        self._capacity = capacity

    def offer(self, entry: Entry) -> bool:
        """Take the entry in unless something on the front is at least as good everywhere."""
        scores = entry.scores
        for held in self.entries:
            if held.scores == scores or dominates(held.scores, scores):
                return False
        self.entries = [e for e in self.entries if not dominates(scores, e.scores)]
        self.entries.append(entry)
        if len(self.entries) > self._capacity:
            self._drop_crowded()
        return True

    def ranked(self) -> list[Entry]:
        """The front, best scalar fitness first."""
        return sorted(self.entries, key=lambda entry: entry.rank)

    def _drop_crowded(self) -> None:
        distances = crowding([entry.scores for entry in self.entries])
        best = min(self.entries, key=lambda entry: entry.rank)
        # Of equally crowded ones the youngest goes; entries stand in the order of their arrival.
        worst = min(
            (index for index, entry in enumerate(self.entries) if entry is not best),
            key=lambda index: (distances[index], -index),
        )
        del self.entries[worst]


def crowding(points: list[tuple[float, ...]]) -> list[float]:
    """Return the crowding distance of each point: the size of the gap it would leave.

    Args:
        points: score vectors of equal length.

    Returns:
        One distance per point, in units of the span of each objective, summed over objectives;
        infinite at the ends.
    """
    distances = [0.0] * len(points)
    for axis in range(len(points[0])):
        values = [point[axis] for point in points]
        order = sorted(range(len(points)), key=values.__getitem__)
        span = values[order[-1]] - values[order[0]]
        distances[order[0]] = distances[order[-1]] = math.inf
        if span > 0:
            for before, here, after in zip(order, order[1:], order[2:], strict=False):
                distances[here] += (values[after] - values[before]) / span
    return distances
