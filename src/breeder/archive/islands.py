"""IslandArchive: islands of MAP-Elites grids on a ring."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

from breeder.archive.archive import CellView, Parents
from breeder.archive.entry import Entry, Scores
from breeder.archive.front import ParetoFront
from breeder.archive.grid import Grid
from breeder.archive.island import Island
from breeder.archive.selection import RankLaw, SelectionConfig
from breeder.core import Elite, Objective, Placement
from breeder.errors import EvaluatorError
from breeder.task import FeatureSection


class IslandArchive:
    """Implements `Archive`. Everything happens on counts of placements, nothing on a clock.

    Cells: with several objectives an elite loses its cell to one that dominates it; where neither
    dominates, and with a single objective, the higher scalar fitness wins, then the smaller
    program, then the older one.

    Migration: every `migration_interval` placements the best of each island is offered to the next
    one on the ring, all at once, so that news travel one island per migration.

    Reset: an island whose best has not risen for `reset_after` placements restarts from the best of
    all, unless that was found on it, so that one island always keeps its variety (after the resets
    of FunSearch, Romera-Paredes et al. 2024, but on a count and one island at a time).

    Empty islands: they take parents from the nearest inhabited island before them on the ring, and
    the child is placed on the empty one. The start therefore needs to be placed once only.

    Args:
        objectives: what is improved; the front is formed over them.
        features: dimensions of the grid, see `Grid`.
        selection: number of islands, migration, shares of the ways to draw.

    Raises:
        TaskError: two features of one name.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        features: Sequence[FeatureSection] = (),
        *,
        selection: SelectionConfig | None = None,
    ) -> None:
        self.grid = Grid(features)
        self.selection = selection or SelectionConfig()
        self._objectives = tuple(objectives)
        self._islands = [Island(self.selection.elites) for _ in range(self.selection.islands)]
        self._front = ParetoFront(self.selection.front)
        self._law = RankLaw(self.selection.rank_power, self.selection.elites)
        self._best: Entry | None = None
        self._leader = 0
        self._placements = 0
        self._resets = 0

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is improved."""
        return self._objectives

    @property
    def placements(self) -> int:
        """Number of `place` calls so far."""
        return self._placements

    @property
    def resets(self) -> int:
        """Number of islands that were restarted so far."""
        return self._resets

    def place(self, elite: Elite, island: int) -> Placement:
        """Offer an elite to an island.

        Raises:
            ValueError: the evaluation failed, its fitness is not finite, or no such island.
            EvaluatorError: an objective or a feature is not among the metrics.
        """
        if not 0 <= island < len(self._islands):
            raise ValueError(f"no island {island}; there are {len(self._islands)}")
        entry = self._entry(elite)
        self._placements += 1
        home = self._islands[island]
        placement = home.offer(entry)
        self._front.offer(entry)
        if self._best is None or elite.fitness > self._best.elite.fitness:
            self._best, self._leader = entry, island
        elif island != self._leader:
            self._reset_if_stagnant(home, self._best)
        interval = self.selection.migration_interval
        if interval and self._placements % interval == 0 and len(self._islands) > 1:
            self._migrate()
        return placement

    def revise(self, program_id: str, elite: Elite | None) -> None:
        """Rank a kept program by `elite` from now on; None withdraws it, unless it is alone."""
        kept = {e.number: e for e in self._kept()}
        found = [entry for entry in kept.values() if entry.elite.program.id == program_id]
        others = (e for island in self._islands for e in island.elites if e not in found)
        if not found or (elite is None and next(others, None) is None):
            return
        for entry in found:
            if elite is not None:
                entry.elite, entry.scores = elite, self._scores(elite)
                entry.rank = (-elite.fitness, elite.program.size, entry.number)
            for island in self._islands:
                island.revised(entry, withdrawn=elite is None)
        left = [e for e in kept.values() if elite is not None or e not in found]
        self._front = ParetoFront(self.selection.front)
        for entry in sorted(left, key=lambda entry: entry.number):
            self._front.offer(entry)
        self._lead(min(left, key=lambda entry: (entry.rank[0], entry.number)))

    def draw(self, rng: random.Random, *, inspirations: int = 3) -> Parents:
        """Draw a parent and up to `inspirations` others, best first, none twice.

        The parent comes from one island. Inspirations are its best, cells of other islands, and
        others of its best, in turns.

        Raises:
            LookupError: nothing was placed yet.
        """
        if self._best is None:
            raise LookupError("the archive is empty")
        island = int(rng.random() * len(self._islands))
        home = self._inhabited(island)
        parent = self._parent(home, rng)
        others = self._inspire(home, parent, inspirations, rng)
        return Parents(island, parent.elite, tuple(entry.elite for entry in others))

    def best(self) -> Elite | None:
        """The elite of highest fitness ever placed; the older one on equality."""
        return self._best.elite if self._best else None

    def front(self) -> tuple[Elite, ...]:
        """The elites that no other dominates on the objectives, best scalar fitness first."""
        return tuple(entry.elite for entry in self._front.ranked())

    def cells(self) -> tuple[CellView, ...]:
        """Every occupied cell, ordered by island and coordinates."""
        return tuple(
            CellView(number, cell, entry.elite)
            for number, island in enumerate(self._islands)
            for cell, entry in island.cells()
        )

    def __len__(self) -> int:
        """Number of occupied cells over all islands."""
        return sum(map(len, self._islands))

    def complete(self, load: Callable[[int], Elite]) -> None:
        """Replace every kept elite by what `load` gives for the number of its placement, from 0.

        Placing needs no texts: a replay places programs without them and completes those that
        are kept at the end. Size, metrics and fitness must be those that were placed.
        """
        for entry in {entry.number: entry for entry in self._kept()}.values():
            entry.elite = load(entry.number)

    def _kept(self) -> Iterator[Entry]:
        for island in self._islands:
            yield from island.elites
            yield from (entry for _, entry in island.cells())
        yield from self._front.entries
        if self._best:
            yield self._best

    def _entry(self, elite: Elite) -> Entry:
        metrics = elite.evaluation.metrics
        if elite.evaluation.failure is not None or not math.isfinite(elite.fitness):
            raise ValueError(f"program {elite.program.id} is not admissible")
        scores, cell = self._scores(elite), self.grid.cell(elite.program, metrics)
        return Entry(elite, cell, scores, (-elite.fitness, elite.program.size, self._placements))

    def _scores(self, elite: Elite) -> Scores:
        metrics = elite.evaluation.metrics
        try:
            return tuple(o.direction.sign * metrics[o.name] for o in self._objectives)
        except KeyError as error:
            raise EvaluatorError(
                f"objective {error.args[0]!r} is not among the metrics; return it from evaluate.py"
            ) from None

    def _lead(self, best: Entry) -> None:
        """Make an entry the best of all, wherever it lives."""
        self._best = best
        homes = [n for n, island in enumerate(self._islands) if best in island.elites]
        self._leader = homes[0] if homes else self._leader

    def _reset_if_stagnant(self, island: Island, best: Entry) -> None:
        limit = self.selection.reset_after
        if limit and island.stagnation >= limit:
            island.restart(best)
            self._resets += 1

    def _migrate(self) -> None:
        travellers = [island.elites[0] if island.elites else None for island in self._islands]
        for number, entry in enumerate(travellers, start=1):
            if entry is not None:
                self._islands[number % len(self._islands)].offer(entry)

    def _inhabited(self, number: int) -> Island:
        while not self._islands[number].elites:
            number -= 1
        return self._islands[number]

    def _parent(self, home: Island, rng: random.Random) -> Entry:
        front = self._front.entries
        if len(self._objectives) > 1 and rng.random() < self.selection.front_share:
            return front[int(rng.random() * len(front))]
        way = rng.random()
        if way < self.selection.explore:
            return home.any_cell(rng)
        if way < self.selection.explore + self.selection.exploit:
            return self._ranked(home, rng)
        return home.elites[0]

    def _ranked(self, home: Island, rng: random.Random) -> Entry:
        return home.elites[self._law.draw(len(home.elites), rng)]

    def _inspire(self, home: Island, parent: Entry, count: int, rng: random.Random) -> list[Entry]:
        chosen: dict[str, Entry] = {}
        for entry in self._suggest(home, 4 * count, rng):
            if len(chosen) >= count:
                break
            if entry.elite.program.id != parent.elite.program.id:
                chosen.setdefault(entry.elite.program.id, entry)
        return sorted(chosen.values(), key=lambda entry: entry.rank)

    def _suggest(self, home: Island, tries: int, rng: random.Random) -> Iterator[Entry]:
        yield home.elites[0]
        for turn in range(tries):
            if turn % 2:
                yield self._ranked(home, rng)
            else:
                yield self._inhabited(int(rng.random() * len(self._islands))).any_cell(rng)
        yield from home.elites
