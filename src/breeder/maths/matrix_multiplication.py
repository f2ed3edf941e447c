"""Matrix multiplication tensors: fewest products that multiply an n x m by an m x p matrix.

V. Strassen, "Gaussian elimination is not optimal" (1969): a rank decomposition of the tensor is an
algorithm. Factors have entries in Z[i] over a common integer scale, so the check is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, integer, listing, row_entries
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

LARGEST_SIDE = 8
LARGEST_ENTRY = 1 << 12  # 4 rank (2^12)^3 stays far below 2^63
FACTORS = ("u", "v", "w")
FORMATS = (
    *((2, 4, 5), (2, 4, 7), (2, 4, 8), (2, 5, 6), (3, 3, 3), (3, 4, 6), (3, 4, 7), (3, 4, 8)),
    *((3, 5, 6), (3, 5, 7), (4, 4, 4), (4, 4, 5), (4, 4, 7), (4, 5, 6), (5, 5, 5)),
)


class Decomposition(NamedTuple):
    """Factors of a rank decomposition.

    Attributes:
        scale: what every entry is divided by.
        u: (n m) rows, one per entry of A in row order, of (real, imaginary) per product.
        v: (m p) rows, one per entry of B.
        w: (p n) rows, one per entry of the transpose of A B, in its row order.
    """

    scale: int
    u: tuple[tuple[tuple[int, int], ...], ...]
    v: tuple[tuple[tuple[int, int], ...], ...]
    w: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True)
class MatrixMultiplication(Problem[Decomposition]):
    """Bilinear algorithms for the product of an n x m and an m x p matrix."""

    n: int
    m: int
    p: int
    family: ClassVar[str] = "matrix_multiplication"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "factors"

    def __post_init__(self) -> None:
        if not all(1 <= side <= LARGEST_SIDE for side in (self.n, self.m, self.p)):
            raise UserError(f"{self.family}: sides must be 1 to {LARGEST_SIDE}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"A bilinear algorithm over the complex numbers for the product of a {self.n} x "
            f"{self.m} and a {self.m} x {self.p} matrix; minimise the number of products."
        )

    @property
    def bound(self) -> Bound:
        """No rank is below that of a flattening."""
        largest = max(self.n * self.m, self.m * self.p, self.p * self.n)
        return Bound(str(largest), "rank of a flattening of the tensor")

    def read(self, data: object) -> Decomposition:
        """Return the factors: a mapping with u, v, w and scale, or one that holds it as `factors`.

        Entries are integers, or pairs of them for complex numbers. What else the mapping says of
        sizes or of the rank is not looked at.
        """
        held = data[self.key] if isinstance(data, dict) and self.key in data else data
        if not isinstance(held, dict):
            raise RefusedError("expected a mapping with u, v, w and scale")
        scale = integer(held.get("scale", 1), "scale")
        if not 1 <= scale <= LARGEST_ENTRY:
            raise RefusedError(f"the scale must be 1 to {LARGEST_ENTRY}")
        u, v, w = (self._factor(held, name) for name in FACTORS)
        if not len(u[0]) == len(v[0]) == len(w[0]):
            raise RefusedError("the factors have different numbers of products")
        return Decomposition(scale, u, v, w)

    def write(self, construction: Decomposition) -> Json:
        """Return scale, u, v and w; entries as pairs."""
        factors: dict[str, Json] = {"scale": construction.scale}
        for name in FACTORS:
            rows = getattr(construction, name)
            factors[name] = [[list(entry) for entry in row] for row in rows]
        return factors

    def measure(self, construction: Decomposition) -> Value:
        """Return the number of products, after all entries of the tensor were compared."""
        u, v, w = (_complex(getattr(construction, name)) for name in FACTORS)
        first = _times(u[:, :, None, :], v[:, None, :, :])  # (2, nm, mp, rank)
        real = np.einsum("abr,cr->abc", first[0], w[0]) - np.einsum("abr,cr->abc", first[1], w[1])
        imaginary = np.einsum("abr,cr->abc", first[0], w[1]) + np.einsum(
            "abr,cr->abc", first[1], w[0]
        )
        wrong = (real != self.tensor() * construction.scale**3) | (imaginary != 0)
        if wrong.any():
            raise RefusedError(
                f"{int(wrong.sum())} of {wrong.size} entries of the tensor come out wrong"
            )
        return self.exactly(u.shape[2])

    def tensor(self) -> NDArray[np.int64]:
        """Return the tensor, (n m, m p, p n): entry i k, k j, j i is 1."""
        tensor = np.zeros((self.n * self.m, self.m * self.p, self.p * self.n), dtype=np.int64)
        for i in range(self.n):
            for k in range(self.m):
                for j in range(self.p):
                    tensor[i * self.m + k, k * self.p + j, j * self.n + i] = 1
        return tensor

    def example(self) -> Json:
        """Return the n m p products of the definition."""
        products = [tuple(map(int, at)) for at in np.argwhere(self.tensor())]
        sizes = (self.n * self.m, self.m * self.p, self.p * self.n)
        return {
            "scale": 1,
            **{
                name: [[int(at[axis] == row) for at in products] for row in range(sizes[axis])]
                for axis, name in enumerate(FACTORS)
            },
        }

    def _factor(
        self, held: dict[str, object], name: str
    ) -> tuple[tuple[tuple[int, int], ...], ...]:
        sizes = {"u": self.n * self.m, "v": self.m * self.p, "w": self.p * self.n}
        found = listing(held, name, sizes[name])
        if len(found) != sizes[name]:
            raise RefusedError(f"{name}: expected {sizes[name]} rows, got {len(found)}")
        products = self.n * self.m * self.p  # more are never needed
        rows = [listing(row, f"{name}[{i}]", products) for i, row in enumerate(found)]
        if len({len(row) for row in rows}) > 1:
            raise RefusedError(f"{name}: its rows differ in length")
        return tuple(
            tuple(_gaussian(entry, f"{name}[{i}]") for entry in row) for i, row in enumerate(rows)
        )


def _gaussian(entry: object, where: str) -> tuple[int, int]:
    pair = row_entries(entry, where, 2) if isinstance(entry, list | tuple | np.ndarray) else None
    real, imaginary = (
        (integer(pair[0], where), integer(pair[1], where)) if pair else (integer(entry, where), 0)
    )
    if max(abs(real), abs(imaginary)) > LARGEST_ENTRY:
        raise RefusedError(f"{where}: an entry is above {LARGEST_ENTRY} in size")
    return real, imaginary


def _complex(factor: tuple[tuple[tuple[int, int], ...], ...]) -> NDArray[np.int64]:
    """(2, rows, rank): real and imaginary parts."""
    return np.array(factor, dtype=np.int64).transpose(2, 0, 1)


def _times(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([one[0] * other[0] - one[1] * other[1], one[0] * other[1] + one[1] * other[0]])
