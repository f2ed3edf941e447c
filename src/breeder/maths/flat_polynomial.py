"""Flat polynomials: coefficients 1 and -1, small everywhere on the unit circle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from breeder.core import Direction
from breeder.errors import UserError
from breeder.maths.bernstein import maximum
from breeder.maths.intervals import Interval, root
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, integer, listing
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

Signs = tuple[int, ...]

LARGEST_DEGREE = 160


@dataclass(frozen=True)
class FlatPolynomial(Problem[Signs]):
    """Signs as coefficients; the largest absolute value on the circle over the mean square root."""

    n: int
    family: ClassVar[str] = "flat_polynomial"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "coefficients"

    def __post_init__(self) -> None:
        if not 1 <= self.n <= LARGEST_DEGREE:
            raise UserError(f"{self.family}: the degree must be 1 to {LARGEST_DEGREE}")

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            f"A polynomial of degree {self.n} with coefficients 1 and -1; minimise the maximum of "
            f"|p(z)| / sqrt({self.n + 1}) over |z| = 1."
        )

    @property
    def bound(self) -> Bound:
        """The mean of |p|^2 on the circle is n + 1."""
        return Bound("1", "Parseval")

    def read(self, data: object) -> Signs:
        """Return the signs. A list, or a mapping with it under `coefficients`."""
        entries = listing(data, self.key, LARGEST_DEGREE + 1)
        read = tuple(integer(entry, f"{self.key}[{i}]") for i, entry in enumerate(entries))
        if len(read) != self.n + 1:
            raise RefusedError(f"expected {self.n + 1} coefficients, got {len(read)}")
        if not all(abs(sign) == 1 for sign in read):
            raise RefusedError("a coefficient is neither 1 nor -1")
        return read

    def write(self, construction: Signs) -> Json:
        """Return the list."""
        return list(construction)

    def measure(self, construction: Signs) -> Value:
        """Return the maximum, a proved enclosure.

        On the circle |p|^2 is a_0 + 2 (a_1 T_1 + ... + a_n T_n) of the cosine, with the
        autocorrelations a_k; with 2 u - 1 for the cosine, u goes from 0 to 1.
        """
        found = maximum(squared_modulus(construction))
        flatness = root(Interval(found.lower / (self.n + 1), found.upper / (self.n + 1)))
        return Value(flatness.lower, flatness.upper, self.direction)

    def example(self) -> Json:
        """Return the Rudin-Shapiro signs."""
        return [(-1) ** (i & i >> 1).bit_count() for i in range(self.n + 1)]


def squared_modulus(signs: Sequence[int]) -> list[Fraction]:
    """Return |p|^2 on the circle as a polynomial in u = (1 + cos) / 2, the constant one first."""
    count = len(signs)
    total = [0] * count
    before, now = [1], [-1, 2]  # Chebyshev polynomials in u
    for k in range(count):
        weight = sum(a * b for a, b in zip(signs, signs[k:], strict=False)) * (2 if k else 1)
        for i, entry in enumerate(before):
            total[i] += weight * entry
        after = [4 * up - 2 * at for up, at in zip([0, *now], [*now, 0], strict=True)]
        for i, entry in enumerate(before):
            after[i] -= entry
        before, now = now, after
    return [Fraction(entry) for entry in total]
