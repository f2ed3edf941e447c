"""Kissing numbers: how many equal spheres can touch one of their size, in d dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.exact import common_integers
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, listing, number, plain, row_entries
from breeder.maths.refusal import RefusedError

Element = tuple[Fraction, Fraction]  # a + b sqrt(2)
Vector = tuple[Element, ...]
Vectors = tuple[Vector, ...]
Integers = NDArray[Any]  # of Python integers: nothing overflows

LARGEST_DIMENSION = 32
MOST_VECTORS = 1500
BLOCK = 128
LARGEST_ENTRY = 1 << 128  # of a vector that was scaled to integers


@dataclass(frozen=True)
class Kissing(Problem[Vectors]):
    """Directions in d dimensions, 60 degrees or more apart.

    Vectors need not have equal lengths: only their directions count. That is what makes integer
    constructions possible where unit vectors have irrational coordinates.
    """

    d: int
    family: ClassVar[str] = "kissing"
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "vectors"

    def __post_init__(self) -> None:
        if not 2 <= self.d <= LARGEST_DIMENSION:
            raise UserError(f"{self.family}: the dimension must be 2 to {LARGEST_DIMENSION}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"As many non-zero vectors in R^{self.d} as possible with pairwise angles of at least "
            "60 degrees: <x, y> <= |x| |y| / 2."
        )

    def read(self, data: object) -> Vectors:
        """Return the vectors. Rows, or a mapping with them under `vectors`.

        A row has d numbers, or 2 d numbers p0, q0, p1, q1, ... that stand for p + q sqrt(2).
        """
        entries = listing(data, self.key, MOST_VECTORS)
        return tuple(self._vector(row, f"{self.key}[{i}]") for i, row in enumerate(entries))

    def write(self, construction: Vectors) -> Json:
        """Return rows of d numbers where all are rational, else of 2 d."""
        if any(b for vector in construction for _, b in vector):
            return [[plain(part) for pair in vector for part in pair] for vector in construction]
        return [[plain(a) for a, _ in vector] for vector in construction]

    def measure(self, construction: Vectors) -> Value:
        """Return the number of vectors.

        A pair is far enough apart where <x, y> <= 0 or 4 <x, y>^2 <= |x|^2 |y|^2, which is decided
        in Z[sqrt 2]. Equal directions fail like any other pair that is too close.
        """
        vectors = _integers(construction)
        squares = _inner(vectors, vectors, "nd,nd->n")
        for i, square in enumerate(zip(*squares, strict=True)):
            if not any(square):
                raise RefusedError(f"vector {i} is zero")
        for start in range(0, len(construction), BLOCK):  # bounds the memory
            block = slice(start, start + BLOCK)
            apart = _apart(vectors, squares, block)
            if not apart.all():
                row, j = map(int, np.argwhere(~apart)[0])
                raise RefusedError(f"vectors {start + row} and {j} are less than 60 degrees apart")
        return self.exactly(len(construction))

    def example(self) -> Json:
        """Return the 2 d vectors along the axes."""
        return [
            [sign if k == axis else 0 for k in range(self.d)]
            for axis in range(self.d)
            for sign in (1, -1)
        ]

    def _vector(self, row: object, where: str) -> Vector:
        paired = isinstance(row, list | tuple | np.ndarray) and len(row) == 2 * self.d
        entries = row_entries(row, where, 2 * self.d if paired else self.d)
        parts = [number(entry, where) for entry in entries]
        if not paired:
            return tuple((part, Fraction(0)) for part in parts)
        return tuple(zip(parts[::2], parts[1::2], strict=True))


def _integers(vectors: Vectors) -> tuple[Integers, Integers]:
    """Rational and sqrt(2) parts, (n, d) each, every vector scaled by itself to small integers."""
    parts = np.empty((len(vectors), len(vectors[0]), 2), dtype=object)
    for i, vector in enumerate(vectors):
        scaled, _ = common_integers([part for element in vector for part in element])
        shared = math.gcd(*scaled) or 1
        if max(map(abs, scaled)) > LARGEST_ENTRY * shared:
            raise RefusedError(f"vector {i} needs integers above 2**128")
        parts[i] = np.array([value // shared for value in scaled], dtype=object).reshape(-1, 2)
    return parts[:, :, 0], parts[:, :, 1]


def _apart(
    vectors: tuple[Integers, Integers], squares: tuple[Integers, Integers], block: slice
) -> NDArray[np.bool_]:
    """Whether the vectors of a block are far enough from all others; (rows of the block, n)."""
    rows = (vectors[0][block], vectors[1][block])
    inner = _inner(rows, vectors, "id,jd->ij")
    doubled = (2 * inner[0], 2 * inner[1])
    lengths = _product(
        (squares[0][block][:, None], squares[1][block][:, None]),
        (squares[0][None, :], squares[1][None, :]),
    )
    cosines = _product(doubled, doubled)
    apart = _not_negative(-inner[0], -inner[1])
    apart |= _not_negative(lengths[0] - cosines[0], lengths[1] - cosines[1])
    within = np.arange(len(rows[0]))
    apart[within, block.start + within] = True
    return apart


def _inner(
    one: tuple[Integers, Integers], other: tuple[Integers, Integers], axes: str
) -> tuple[Integers, Integers]:
    """Inner products as a + b sqrt(2), over the axes that `einsum` is told of."""
    (a, b), (c, d) = one, other
    rational = np.einsum(axes, a, c)
    if not (b.any() or d.any()):
        return rational, rational * 0
    return (
        rational + 2 * np.einsum(axes, b, d),
        np.einsum(axes, a, d) + np.einsum(axes, b, c),
    )


def _product(
    one: tuple[Integers, Integers], other: tuple[Integers, Integers]
) -> tuple[Integers, Integers]:
    (a, b), (c, d) = one, other
    return a * c + 2 * (b * d), a * d + b * c


def _not_negative(a: Integers, b: Integers) -> NDArray[np.bool_]:
    """Whether a + b sqrt(2) >= 0, entry by entry: where the signs differ the squares decide."""
    squared, doubled = a * a, 2 * (b * b)
    a_up, b_up = a >= 0, b >= 0
    found = (a_up & b_up) | (a_up & (squared >= doubled)) | (b_up & (doubled >= squared))
    return np.asarray(found, dtype=np.bool_)
