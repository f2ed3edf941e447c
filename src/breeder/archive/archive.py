"""The contract of an archive: what is kept, and which parents are drawn from it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from breeder.core import Elite, Placement


@dataclass(frozen=True, slots=True)
class Parents:
    """A parent and inspirations drawn from one island."""

    island: int
    parent: Elite
    inspirations: tuple[Elite, ...]


@dataclass(frozen=True, slots=True)
class CellView:
    """One occupied cell, for reports: island, cell coordinates (bin per feature), its elite."""

    island: int
    cell: tuple[int, ...]
    elite: Elite


class Archive(Protocol):
    """Keeps elites. Pure in-memory state: equal sequences of `place` calls give equal archives.

    Rules:
        * `place` is given admissible evaluations only (no failure) and compares within one cell;
          on equal fitness the smaller program wins, then the older one; where elites state an error
          of their fitness, the older one stays unless the difference is supported;
        * migration, if any, happens inside `place`, on a count of placements, never on a clock;
        * `draw` uses no randomness but `rng` and changes nothing;
        * the cost of `place` and `draw` does not grow with the number of programs ever placed.
    """

    def place(self, elite: Elite, island: int) -> Placement:
        """Offer an elite to an island."""
        ...

    def revise(self, program_id: str, elite: Elite | None) -> None:
        """Take back what a program was placed by: it has been measured again, on fresh samples.

        Where the program is still kept, it is ranked by `elite` from now on, and its cell goes to
        whoever of those still kept there deserves it. None withdraws the program altogether, unless
        nothing else is left. A program that is no longer kept changes nothing; nor does it count as
        a placement.
        """
        ...

    def draw(self, rng: random.Random, *, inspirations: int = 3) -> Parents:
        """Draw a parent and up to `inspirations` others. Raises LookupError when empty."""
        ...

    def best(self) -> Elite | None:
        """The elite of highest fitness over all islands; the older one on equality."""
        ...

    def front(self) -> tuple[Elite, ...]:
        """The elites that no other dominates on the objectives, best first."""
        ...

    def cells(self) -> tuple[CellView, ...]:
        """Every occupied cell, ordered by island and coordinates."""
        ...

    def __len__(self) -> int:
        """Number of occupied cells over all islands."""
        ...
