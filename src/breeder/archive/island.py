"""One island: a grid of cells that each keep their best, and a short list of the best of all."""

from __future__ import annotations

import random
from bisect import insort

from breeder.archive.entry import Entry
from breeder.archive.grid import Cell
from breeder.core import Placement


class Island:
    """A population of its own. Its size is bounded by the grid and `capacity`.

    The list of the best lets good programs of one cell be exploited side by side. It holds one
    entry per behaviour: of programs with equal metrics only the best ranked one, so that rewordings
    do not crowd out what is different (FunSearch's clusters by signature, in their simplest form).

    Args:
        capacity: length of the list of the best.

    Attributes:
        elites: the best, in order of rank; never empty once something was offered.
        stagnation: offers since the best fitness last rose.
    """

    def __init__(self, capacity: int) -> None:
        self.elites: list[Entry] = []
        self.stagnation = 0
        self._cells: dict[Cell, Entry] = {}
        self._occupied: list[Cell] = []
        self._capacity = capacity

    def __len__(self) -> int:
        """Number of occupied cells."""
        return len(self._occupied)

    def offer(self, entry: Entry) -> Placement:
        """Place an entry in its cell and, if it is good enough, among the best."""
        rose = not self.elites or entry.rank[0] < self.elites[0].rank[0]
        self.stagnation = 0 if rose else self.stagnation + 1
        self._rank(entry)
        held = self._cells.get(entry.cell)
        if held is None:
            self._cells[entry.cell] = entry
            self._occupied.append(entry.cell)
            return Placement.NEW
        if entry.beats(held):
            self._cells[entry.cell] = entry
            return Placement.IMPROVED
        return Placement.REJECTED

    def revised(self, entry: Entry, *, withdrawn: bool) -> None:
        """Put an entry whose elite and rank were replaced where it belongs now, or drop it."""
        if entry in self.elites:
            self.elites.remove(entry)
            if not withdrawn:
                self._rank(entry)
        self._contest(entry, withdrawn=withdrawn)
        # What had no room among the best, or was a rewording of this one, may belong there now.
        for held in [e for e in self._cells.values() if e not in self.elites]:
            self._rank(held)

    def _contest(self, entry: Entry, *, withdrawn: bool) -> None:
        """Settle an entry's cell again, in order of age, among its holder and those of the best.

        What the entry displaced and is still among the best thus comes back.
        """
        holder = self._cells.get(entry.cell)
        if holder is None:
            return
        rivals = {e.number: e for e in (holder, *self.elites) if e.cell == entry.cell}
        if withdrawn:
            rivals.pop(entry.number, None)
        if not rivals:
            del self._cells[entry.cell]
            self._occupied.remove(entry.cell)
            return
        best, *younger = (rivals[number] for number in sorted(rivals))
        for rival in younger:
            best = rival if rival.beats(best) else best
        self._cells[entry.cell] = best

    def restart(self, entry: Entry) -> None:
        """Forget everything and begin again from one entry."""
        self.elites.clear()
        self._cells.clear()
        self._occupied.clear()
        self.offer(entry)

    def any_cell(self, rng: random.Random) -> Entry:
        """Draw uniformly from the occupied cells."""
        return self._cells[self._occupied[int(rng.random() * len(self._occupied))]]

    def cells(self) -> list[tuple[Cell, Entry]]:
        """Occupied cells in order of their coordinates."""
        return sorted(self._cells.items(), key=lambda item: item[0])

    def _rank(self, entry: Entry) -> None:
        if len(self.elites) >= self._capacity and entry.rank > self.elites[-1].rank:
            return
        metrics = entry.elite.evaluation.metrics
        for index, held in enumerate(self.elites):
            if held.rank[0] == entry.rank[0] and held.elite.evaluation.metrics == metrics:
                if held.rank <= entry.rank:
                    return
                del self.elites[index]
                break
        insort(self.elites, entry, key=lambda held: held.rank)
        del self.elites[self._capacity :]
