"""Erdos' minimum overlap problem: the limit constant, bounded from above by step functions.

L. K. Swinnerton-Dyer's reformulation, as used by J. K. Haugland, "The minimum overlap problem
revisited" (2016): over h on [0, 2] with 0 <= h <= 1 and integral 1, minimise the maximum over k of
the integral of h(x) (1 - h(x + k)), where both factors are 0 outside of [0, 2].
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from breeder.core import Direction
from breeder.maths.exact import common_integers, convolution, total
from breeder.maths.problem import Problem, Repaired, Value
from breeder.maths.reading import Json, numbers, plain
from breeder.maths.refusal import RefusedError

Steps = tuple[Fraction, ...]

MOST_STEPS = 20_000
MOST_MOVED = Fraction(1, 10**6)  # what a repair may change a height by
GRID = 1 << 53  # every multiple of 1/GRID in [0, 1] is a float


@dataclass(frozen=True)
class MinimumOverlap(Problem[Steps]):
    """Heights of n equal steps on [0, 2]."""

    family: ClassVar[str] = "erdos_minimum_overlap"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "h"

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            "A step function h on [0, 2] with 0 <= h <= 1 and integral exactly 1; minimise the "
            "largest integral of h(x) (1 - h(x + k)) over all shifts k, both 0 outside of [0, 2]."
        )

    def read(self, data: object) -> Steps:
        """Return the heights. A list of n numbers, or a mapping with them under `h`."""
        return tuple(numbers(data, self.key, MOST_STEPS))

    def write(self, construction: Steps) -> Json:
        """Return the heights as a list."""
        return [plain(height) for height in construction]

    def measure(self, construction: Steps) -> Value:
        """Return the largest overlap, exactly.

        The overlap is linear in k between multiples of the step 2/n, so these decide.
        """
        n = len(construction)
        for i, height in enumerate(construction):
            if not 0 <= height <= 1:
                raise RefusedError(f"h[{i}] = {float(height)!r} is not between 0 and 1")
        missed = total(construction) * 2 / n - 1
        if missed:
            raise RefusedError(f"the integral misses 1 by {float(missed):.3g}")
        heights, unit = common_integers(construction)
        rest = [unit - height for height in heights]
        largest = max(convolution(heights[::-1], rest))
        return self.exactly(Fraction(2 * largest, n * unit * unit))

    def example(self) -> Json:
        """Return the constant function."""
        return [0.5, 0.5, 0.5, 0.5]

    def repair(self, construction: Steps) -> Repaired[Steps]:
        """Clip the heights to [0, 1], then raise or lower all that can by one least amount.

        The result lies on multiples of 2**-53, so that its heights are floats and still sum
        exactly; it is within two such units of the least move.

        Raises:
            RefusedError: a height would have to move by more than `MOST_MOVED`.
        """
        n = len(construction)
        if total(construction) * 2 == n and all(0 <= height <= 1 for height in construction):
            return Repaired(construction, Fraction(0))
        units = [min(max(round(height * GRID), 0), GRID) for height in construction]
        lacking = n * GRID // 2 - sum(units)
        final = _raised(units, lacking) if lacking >= 0 else _lowered(units, -lacking)
        repaired = tuple(Fraction(unit, GRID) for unit in final)
        moved = max(abs(new - old) for new, old in zip(repaired, construction, strict=True))
        if moved > MOST_MOVED:
            raise RefusedError(
                f"a height would have to move by {float(moved):.2g}, more than a repair is for"
            )
        return Repaired(repaired, moved)


def _lowered(units: list[int], excess: int) -> list[int]:
    return [GRID - unit for unit in _raised([GRID - unit for unit in units], excess)]


def _raised(units: list[int], lacking: int) -> list[int]:
    """Raise numbers in [0, GRID] by `lacking` in all, none by more than needed (water-filling)."""
    final = list(units)
    by_room = sorted(range(len(units)), key=lambda i: -units[i])  # least room first
    for place, i in enumerate(by_room):
        share = -(-lacking // (len(units) - place))
        added = min(share, GRID - units[i])
        final[i] += added
        lacking -= added
    return final
