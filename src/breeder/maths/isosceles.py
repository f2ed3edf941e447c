"""Subsets of a grid without isosceles triangles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, integer_rows
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

Points = tuple[tuple[int, int], ...]

LARGEST_GRID = 512
MOST_POINTS = 4096


@dataclass(frozen=True)
class NoIsosceles(Problem[Points]):
    """Points of the n x n grid, no three of them an isosceles triangle, flat ones included."""

    n: int
    family: ClassVar[str] = "no_isosceles"
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        if not 1 <= self.n <= LARGEST_GRID:
            raise UserError(f"{self.family}: the side of the grid must be 1 to {LARGEST_GRID}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"As many points of the {self.n} x {self.n} grid as possible so that no three distinct "
            "ones a, b, c have |ab| = |ac|, points on a line included."
        )

    @property
    def bound(self) -> Bound:
        """All other points lie at different distances from any one."""
        distances = {x * x + y * y for x in range(self.n) for y in range(x + 1)}
        return Bound(str(len(distances)), "distances that occur in the grid, and the point itself")

    def read(self, data: object) -> Points:
        """Return the points. Rows x, y from 0 to n - 1, or a mapping with them under `points`."""
        read = integer_rows(data, self.key, 2, MOST_POINTS)
        return tuple((x, y) for x, y in read)

    def write(self, construction: Points) -> Json:
        """Return rows of x, y."""
        return [list(point) for point in construction]

    def measure(self, construction: Points) -> Value:
        """Return the number of points: the distances from each to all others must differ."""
        for i, (x, y) in enumerate(construction):
            if not (0 <= x < self.n and 0 <= y < self.n):
                raise RefusedError(f"point {i}, ({x}, {y}), is not in the grid")
        if len(set(construction)) < len(construction):
            raise RefusedError("a point occurs twice")
        for i, (x, y) in enumerate(construction):
            seen: dict[int, int] = {}
            for j, (u, v) in enumerate(construction):
                square = (x - u) ** 2 + (y - v) ** 2
                if j != i and seen.setdefault(square, j) != j:
                    raise RefusedError(f"points {seen[square]} and {j} are equally far from {i}")
        return self.exactly(len(construction))

    def example(self) -> Json:
        """Return the points 1, 2, 4, 8, ... of the first row."""
        return [[(1 << k) - 1, 0] for k in range(self.n.bit_length())]
