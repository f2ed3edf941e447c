"""Large steps along one constant at a time: which constants matter, and by how much?

CMA-ES moves all constants at once by a quarter of their size. Where one of a dozen is wrong by a
factor of thirty, it needs hundreds of evaluations to get there; a step along that constant alone
needs a few. In the manner of exploratory moves (Hooke and Jeeves, 1961): every constant is tried in
both directions once, then the moves are drawn by how often they have paid (Thompson sampling).
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from breeder.proposers.constants import Constant, Template, is_power_of_two

_REMEMBERED = 4096  # moves
_FACTORS = (0.3, 2.5)  # of the logarithm of the factor
_FROM_ZERO = (0.05, 2.0)
_DOUBLINGS = (1, 1, 2, 3)  # of a whole number that is a power of two, once it was moved before
_OTHERWISE = 0.25  # chance that such a number moves by any factor all the same
_FADE = 0.8  # a move that has stopped paying gives way after a few tries


@dataclass(frozen=True, slots=True)
class Step:
    """A move of one constant. `constant` is its name and its rank among those of that name.

    Names outlive changes of the program's structure, so what was learned is used again.
    """

    constant: tuple[str, int]
    up: bool


@dataclass(slots=True)
class _Record:
    """What came of a move: fading counts."""

    tries: float = 0.0
    paid: float = 0.0


@dataclass(slots=True)
class Stepping:
    """Draws steps and learns along which constants they pay."""

    _records: OrderedDict[Step, _Record] = field(default_factory=OrderedDict)

    def draw(self, structure: Template, rng: Random) -> tuple[Step, tuple[bytes, ...]] | None:
        """A step from a program's own constants and the new spelling of all of them.

        Returns None when there is nothing to move.
        """
        constants = [constant for _, constant in structure.constants]
        if not constants:
            return None
        moves = _moves(constants)
        worth = [self._worth(step, rng) for _, step in moves]
        index, step = moves[max(range(len(moves)), key=lambda at: worth[at])]
        spellings = [constant.text for constant in constants]
        moved = _moved(constants[index], rng, up=step.up, first=step not in self._records)
        spellings[index] = constants[index].spelled(moved)
        return step, tuple(spellings)

    def untried(self, structure: Template) -> bool:
        """Whether there is a move of this program's constants whose worth is not known at all."""
        moves = _moves([constant for _, constant in structure.constants])
        return any(step not in self._records for _, step in moves)

    def learn(self, step: Step, *, paid: bool) -> None:
        """Note whether a step led to a better program."""
        record = self._records.setdefault(step, _Record())
        self._records.move_to_end(step)
        record.tries = _FADE * record.tries + 1.0
        record.paid = _FADE * record.paid + paid
        while len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)

    def _worth(self, step: Step, rng: Random) -> float:
        record = self._records.get(step)
        if record is None:
            return 0.5 + 0.5 * rng.random()
        return rng.betavariate(0.5 + record.paid, 2.0 + record.tries - record.paid)


def _keys(constants: Sequence[Constant]) -> list[tuple[str, int]]:
    ranks: Counter[str] = Counter()
    keys = []
    for constant in constants:
        keys.append((constant.name, ranks[constant.name]))
        ranks[constant.name] += 1
    return keys


def _moves(constants: Sequence[Constant]) -> list[tuple[int, Step]]:
    """The steps that there are, with the index of the constant; a width of 1 only grows."""
    return [
        (i, Step(key, up))
        for i, key in enumerate(_keys(constants))
        for up in (True, False)
        if up or not (constants[i].width and constants[i].value == 1)
    ]


def _moved(constant: Constant, rng: Random, *, up: bool, first: bool) -> float:
    """The value after a step; magnitudes move by a factor, zero by a plain amount.

    Whole powers of two are doubled or halved at first and keep to powers of two mostly after that:
    of a width or a block size the numbers between them do no good.
    """
    doubles = constant.integer and is_power_of_two(constant.value) and (up or constant.value > 1)
    if doubles and (first or rng.random() >= _OTHERWISE):
        factor = 2.0 ** (1 if first else rng.choice(_DOUBLINGS))
        return constant.value * factor if up else max(1.0, constant.value // factor)
    if constant.value == 0:
        size = math.exp(rng.uniform(*map(math.log, _FROM_ZERO)))
        moved = size if up else -size
    else:
        factor = math.exp(rng.uniform(*_FACTORS))
        moved = constant.value * (factor if up else 1 / factor)
    if not constant.integer:
        return moved
    whole = float(round(moved))
    return whole if whole != constant.value else constant.value + (1.0 if up else -1.0)
