"""Maximal determinants of matrices of signs.

W. P. Orrick and B. Solomon keep the table of records ("The Hadamard maximal determinant problem").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, integer_rows
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

Matrix = tuple[tuple[int, ...], ...]

LARGEST_ORDER = 128


@dataclass(frozen=True)
class MaximalDeterminant(Problem[Matrix]):
    """n x n matrices of signs with a large determinant."""

    n: int
    family: ClassVar[str] = "maximal_determinant"
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "matrix"

    def __post_init__(self) -> None:
        if not 1 <= self.n <= LARGEST_ORDER:
            raise UserError(f"{self.family}: the order must be 1 to {LARGEST_ORDER}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"A {self.n} x {self.n} matrix of 1 and -1; maximise the absolute value of its "
            "determinant."
        )

    @property
    def bound(self) -> Bound:
        """Hadamard's bound; for odd orders the sharper one of G. Barba, 1933."""
        n = self.n
        if n % 2 == 0:
            return Bound(str(math.isqrt(n**n)), "Hadamard, 1893")
        return Bound(str(math.isqrt((2 * n - 1) * (n - 1) ** (n - 1))), "Barba, 1933")

    def read(self, data: object) -> Matrix:
        """Return the matrix. Rows of 1 and -1, or a mapping with them under `matrix`."""
        read = integer_rows(data, self.key, self.n, self.n)
        if len(read) != self.n:
            raise RefusedError(f"expected {self.n} rows, got {len(read)}")
        for i, row in enumerate(read):
            if not all(abs(entry) == 1 for entry in row):
                raise RefusedError(f"row {i} holds something other than 1 and -1")
        return tuple(map(tuple, read))

    def write(self, construction: Matrix) -> Json:
        """Return rows of 1 and -1."""
        return [list(row) for row in construction]

    def measure(self, construction: Matrix) -> Value:
        """Return the determinant's absolute value, an integer."""
        return self.exactly(abs(determinant(construction)))

    def score(self, value: Value) -> float:
        """Return -log10 of what is missing of the bound, as a share of it."""
        share = float(value.certified / self.bound.number)
        return -math.log1p(-min(share, 1 - 1e-15)) / math.log(10)

    def example(self) -> Json:
        """Return -1 on the diagonal, 1 elsewhere."""
        return [[-1 if i == j else 1 for j in range(self.n)] for i in range(self.n)]


def determinant(matrix: Sequence[Sequence[int]]) -> int:
    """Return a determinant by fraction-free elimination (E. H. Bareiss, 1968)."""
    rows = [list(row) for row in matrix]
    sign, earlier = 1, 1
    for k in range(len(rows) - 1):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        top = rows[k]
        for row in rows[k + 1 :]:
            first = row[k]
            for j in range(k + 1, len(rows)):
                row[j] = (row[j] * top[k] - first * top[j]) // earlier
        earlier = top[k]
    return sign * rows[-1][-1]
