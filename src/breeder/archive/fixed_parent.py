"""FixedParentArchive: an archive without evolution, for ablations."""

from __future__ import annotations

import random
from collections.abc import Iterator

from breeder.archive.archive import Parents
from breeder.archive.entry import Entry
from breeder.archive.islands import IslandArchive
from breeder.core import Elite


class FixedParentArchive(IslandArchive):
    """Keeps elites as `IslandArchive` does, but always draws the first one, without inspirations.

    The ablation "no evolution" of AlphaEvolve (Novikov et al. 2025, arXiv:2506.13131, section 4):
    whatever is found, the next program is made from the start again.
    """

    _first: Entry | None = None

    def draw(self, rng: random.Random, *, inspirations: int = 3) -> Parents:
        """Draw the elite that was placed first.

        Raises:
            LookupError: nothing was placed yet.
        """
        if self._first is None:
            raise LookupError("the archive is empty")
        island = int(rng.random() * self.selection.islands)
        return Parents(island, self._first.elite, ())

    def _entry(self, elite: Elite) -> Entry:
        entry = super()._entry(elite)
        self._first = self._first or entry
        return entry

    def _kept(self) -> Iterator[Entry]:
        yield from super()._kept()
        if self._first is not None:
            yield self._first
