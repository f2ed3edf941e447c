"""Three autocorrelation inequalities: how flat can the convolution of a function with itself be?

f is a step function on n equal steps of [-1/4, 1/4]; f*f is then piecewise linear with knots at the
multiples of the step, where it is `step` times the convolution of the heights. M. Matolcsi and
C. Vinuesa, "Improved bounds on the supremum of autoconvolutions" (2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

from breeder.core import Direction
from breeder.maths.exact import common_integers, convolution
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, numbers, plain
from breeder.maths.refusal import RefusedError

Steps = tuple[Fraction, ...]

MOST_STEPS = 120_000


class Autoconvolution(Problem[Steps]):
    """What the inequalities share: heights, their convolution with themselves."""

    key: ClassVar[str] = "f"
    nonnegative: ClassVar[bool] = True

    def read(self, data: object) -> Steps:
        """Return the heights. A list of n numbers, or a mapping with them under `f`."""
        return tuple(numbers(data, self.key, MOST_STEPS))

    def write(self, construction: Steps) -> Json:
        """Return the heights as a list."""
        return [plain(height) for height in construction]

    def example(self) -> Json:
        """Return the constant function."""
        return [1, 1, 1, 1]

    def convolved(self, construction: Steps) -> tuple[list[int], int]:
        """Return the convolution of the heights, scaled to integers, and their sum, scaled alike.

        The scale does not matter to any of the inequalities: all are homogeneous.

        Raises:
            RefusedError: a height is negative where it may not be, the integral is 0 (an
                inequality says nothing then), or the numbers are too long to multiply.
        """
        if self.nonnegative:
            for i, height in enumerate(construction):
                if height < 0:
                    raise RefusedError(f"f[{i}] = {float(height)!r} is negative")
        heights, _ = common_integers(construction)
        if not sum(heights):
            raise RefusedError("the integral of f is 0")
        return convolution(heights, heights), sum(heights)


@dataclass(frozen=True)
class FirstAutocorrelation(Autoconvolution):
    """Least peak of f*f for a non-negative f."""

    family: ClassVar[str] = "autocorrelation_1"
    direction: ClassVar[Direction] = Direction.MINIMIZE

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return "f >= 0 on [-1/4, 1/4]; minimise max(f*f) / (integral of f)^2."

    def measure(self, construction: Steps) -> Value:
        """Return the ratio exactly."""
        values, mass = self.convolved(construction)
        return self.exactly(Fraction(2 * len(construction) * max(values), mass * mass))


@dataclass(frozen=True)
class SecondAutocorrelation(Autoconvolution):
    """How near to a constant on its support f*f can come, in the sense of Hölder's inequality."""

    family: ClassVar[str] = "autocorrelation_2"
    direction: ClassVar[Direction] = Direction.MAXIMIZE

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return "f >= 0 on [-1/4, 1/4]; maximise ||f*f||_2^2 / (||f*f||_1 ||f*f||_inf)."

    def measure(self, construction: Steps) -> Value:
        """Return the ratio exactly.

        Over one step, the square of a linear function from a to b has the mean (a² + ab + b²) / 3.
        """
        values, mass = self.convolved(construction)
        squares = 2 * sum(value * value for value in values)  # each knot ends two steps
        products = sum(one * other for one, other in pairwise(values))
        return self.exactly(Fraction(squares + products, 3 * mass * mass * max(values)))


@dataclass(frozen=True)
class ThirdAutocorrelation(Autoconvolution):
    """As the first, for f of any sign: how low the highest point of f*f can be."""

    family: ClassVar[str] = "autocorrelation_3"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    nonnegative: ClassVar[bool] = False

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return "f of any sign on [-1/4, 1/4]; minimise max(f*f) / (integral of f)^2."

    def measure(self, construction: Steps) -> Value:
        """Return the ratio exactly. Only the positive peak counts."""
        values, mass = self.convolved(construction)
        return self.exactly(Fraction(2 * len(construction) * max(values), mass * mass))


@dataclass(frozen=True)
class AbsoluteThirdAutocorrelation(Autoconvolution):
    """The stricter reading of the third: f*f may be neither high nor low anywhere."""

    family: ClassVar[str] = "autocorrelation_3_absolute"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    nonnegative: ClassVar[bool] = False

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return "f of any sign on [-1/4, 1/4]; minimise max|f*f| / (integral of f)^2."

    def measure(self, construction: Steps) -> Value:
        """Return the ratio exactly."""
        values, mass = self.convolved(construction)
        peak = max(map(abs, values))
        return self.exactly(Fraction(2 * len(construction) * peak, mass * mass))
