"""Ring loading: how much integral routing on a ring can cost over fractional routing.

A. Schrijver, P. Seymour, P. Winkler, "The ring loading problem" (1998); M. Skutella, "A note on the
ring loading problem" (2016), whose lower bounds are the constructions here.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.exact import common_integers
from breeder.maths.problem import Problem, Repaired, Value
from breeder.maths.reading import Json, plain, rows
from breeder.maths.refusal import RefusedError

Pairs = tuple[tuple[Fraction, Fraction], ...]

MOST_PAIRS = 18  # 2**m choices are tried
MOST_MOVED = Fraction(1, 10**6)


@dataclass(frozen=True)
class RingLoading(Problem[Pairs]):
    """m pairs (u, v); z_i is v_i or -u_i, chosen to make the largest split sum small."""

    m: int
    family: ClassVar[str] = "ring_loading"
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "pairs"

    def __post_init__(self) -> None:
        if not 1 <= self.m <= MOST_PAIRS:
            raise UserError(f"{self.family}: the number of pairs must be 1 to {MOST_PAIRS}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"{self.m} pairs u, v >= 0 with u + v <= 1; maximise the minimum over all z with z_i = "
            "v_i or -u_i of the largest |z_1 + ... + z_k - z_(k+1) - ... - z_m| over k."
        )

    def read(self, data: object) -> Pairs:
        """Return the pairs. Rows u, v, or a mapping with them under `pairs`."""
        read = rows(data, self.key, 2, MOST_PAIRS)
        if len(read) != self.m:
            raise RefusedError(f"expected {self.m} pairs, got {len(read)}")
        return tuple((u, v) for u, v in read)

    def write(self, construction: Pairs) -> Json:
        """Return rows of u, v."""
        return [[plain(u), plain(v)] for u, v in construction]

    def measure(self, construction: Pairs) -> Value:
        """Return the minimum over all 2^m choices, in integers."""
        for i, (u, v) in enumerate(construction):
            if u < 0 or v < 0:
                raise RefusedError(f"pair {i} holds a negative number")
            if u + v > 1:
                raise RefusedError(f"pair {i} sums to 1 + {float(u + v - 1):.3g}")
        flat, unit = common_integers([part for pair in construction for part in pair])
        sums = [np.zeros(1, dtype=object)]  # partial sums after k terms, one per choice so far
        for left, right in zip(flat[::2], flat[1::2], strict=True):
            sums = [np.concatenate([earlier, earlier]) for earlier in sums]
            last, half = sums[-1], len(sums[-1]) // 2
            sums.append(np.concatenate([last[:half] + right, last[half:] - left]))
        worst = np.max([abs(2 * partial - sums[-1]) for partial in sums], axis=0)
        return self.exactly(Fraction(int(worst.min()), unit))

    def example(self) -> Json:
        """Return equal halves."""
        return [[0.5, 0.5] for _ in range(self.m)]

    def repair(self, construction: Pairs) -> Repaired[Pairs]:
        """Lower the larger of two numbers that sum to more than 1, and raise negative ones to 0.

        Raises:
            RefusedError: one would have to move by more than `MOST_MOVED`.
        """
        final: list[tuple[Fraction, Fraction]] = []
        moved = Fraction(0)
        for i, (u, v) in enumerate(construction):
            new_u, new_v = max(u, Fraction(0)), max(v, Fraction(0))
            if new_u + new_v > 1:
                over = new_u + new_v - 1
                new_u, new_v = (new_u - over, new_v) if new_u >= new_v else (new_u, new_v - over)
            moved = max(moved, abs(new_u - u), abs(new_v - v))
            if moved > MOST_MOVED:
                raise RefusedError(f"pair {i} is further off than a repair is for")
            final.append((new_u, new_v))
        return Repaired(tuple(final), moved)
