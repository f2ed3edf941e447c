"""What an outcome is worth to whoever learns from it."""

from __future__ import annotations

from breeder.core import Placement
from breeder.proposers.proposer import Outcome

CROWNED = 1.0
"""Worth of a program that became champion."""


def reward(outcome: Outcome) -> float:
    """Worth of an outcome in [0, 1]: a new champion 1, else what it added to the archive.

    A child that opens or improves a cell is material for later steps: it earns 0.3 when it is not
    worse than its parent and 0.05 when it is only different. The size of a gain does not count:
    late in a run gains are small by nature and matter as much.
    """
    if outcome.gain > 0:
        return CROWNED
    if not outcome.placement or outcome.fitness is None:
        return 0.0
    if outcome.placement is Placement.IMPROVED or outcome.fitness > outcome.parent_fitness:
        return 0.3 if outcome.fitness >= outcome.parent_fitness else 0.05
    return 0.05
