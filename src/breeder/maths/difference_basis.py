"""Difference bases: few numbers whose differences are all of 1 to v.

L. Rédei and A. Rényi, "On the representation of the numbers 1, 2, ..., N by means of differences"
(1949): the least |B|^2 / v has a limit, which is its infimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from breeder.core import Direction
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, integer, listing
from breeder.maths.refusal import RefusedError

Numbers = tuple[int, ...]

MOST_NUMBERS = 2048
LARGEST_NUMBER = 1 << 24  # far above the differences that 2048 numbers can cover


@dataclass(frozen=True)
class DifferenceBasis(Problem[Numbers]):
    """Integers whose differences cover 1 to v; the square of their number over v."""

    family: ClassVar[str] = "difference_basis"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "B"

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            "A set B of integers; with v the largest so that all of 1 to v are differences of two "
            "of them, minimise |B|^2 / v."
        )

    def read(self, data: object) -> Numbers:
        """Return the numbers, in order. A list, or a mapping with it under `B`."""
        entries = listing(data, self.key, MOST_NUMBERS)
        read = sorted({integer(entry, f"{self.key}[{i}]") for i, entry in enumerate(entries)})
        if len(read) < len(entries):
            raise RefusedError("a number occurs twice")
        if read[-1] - read[0] > LARGEST_NUMBER:
            raise RefusedError(f"the numbers lie more than {LARGEST_NUMBER} apart")
        return tuple(read)

    def write(self, construction: Numbers) -> Json:
        """Return the list."""
        return list(construction)

    def measure(self, construction: Numbers) -> Value:
        """Return the square of the number of them over v. Differences are bits of one integer."""
        first = construction[0]
        bits = sum(1 << (number - first) for number in construction)
        covered = 0
        for number in construction:
            covered |= bits >> (number - first)
        # The lowest bit that is not set, counted from difference 1 on.
        missing = ~(covered >> 1)
        reached = (missing & -missing).bit_length() - 1
        if not reached:
            raise RefusedError("1 is no difference of two of them")
        return self.exactly(Fraction(len(construction) ** 2, reached))

    def example(self) -> Json:
        """Return the perfect ruler 0, 1, 4, 6."""
        return [0, 1, 4, 6]
