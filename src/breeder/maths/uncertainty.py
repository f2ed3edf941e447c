"""The uncertainty principle for signs.

Functions start at 0 or below, like their Fourier transforms, and are not negative from some point
on. F. Gonçalves, D. Oliveira e Silva, S. Steinerberger, "Hermite polynomials, linear flows on the
torus, and an uncertainty principle for roots" (2017); H. Cohn, F. Gonçalves, "An optimal
uncertainty principle in twelve dimensions via modular forms" (2019). The functions here are their
own Fourier transforms: P(2 pi x^2) exp(-pi x^2) with P a combination of the Laguerre polynomials
L_0, L_2, L_4, ... of index -1/2, which H_0, H_4, H_8, ... in x are multiples of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NamedTuple

from breeder.core import Direction
from breeder.maths.bernstein import negative
from breeder.maths.intervals import Interval, enclosed, pi
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, numbers, plain
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound

MOST_ROOTS = 12
MOST_HERMITE = 12
LARGEST_ROOT = 10**4
DENSEST = 1 << 80
BITS = 1024  # of a coefficient, relative to the largest
STEPS = 128  # binary places of a start, of which all but 32 are settled
DIGITS = 1024  # binary places in the elimination
HERMITE = "hermite"

Polynomial = list[Fraction]  # the constant coefficient first


class Form(NamedTuple):
    """How a function is given.

    Attributes:
        hermite: whether by coefficients of H_0, H_4, ..., where one more follows from P(0) = 0; or
            else by double roots of P.
        entries: coefficients or roots.
    """

    hermite: bool
    entries: tuple[Fraction, ...]


@dataclass(frozen=True)
class Uncertainty(Problem[Form]):
    """Functions equal to their Fourier transform; the square of their last sign change."""

    family: ClassVar[str] = "uncertainty"
    direction: ClassVar[Direction] = Direction.MINIMIZE
    key: ClassVar[str] = "double_roots"

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            "An even function f, not 0, with f(0) <= 0 and f^(0) <= 0, not negative for |x| >= A "
            "while f^ is not for |x| >= B; minimise A B."
        )

    @property
    def bound(self) -> Bound:
        """Proved with the upper bound that the first constructions gave."""
        return Bound("0.2025", "Gonçalves, Oliveira e Silva and Steinerberger, 2017")

    def read(self, data: object) -> Form:
        """Return a function.

        A list of positive numbers where P has double roots, or a mapping with it under
        `double_roots`; or a mapping with coefficients of H_0, H_4, ... under `hermite`.
        """
        if isinstance(data, Mapping) and isinstance(data.get(self.key), Mapping):
            data = data[self.key]
        if isinstance(data, Mapping) and HERMITE in data:
            found = Form(True, tuple(numbers(data, HERMITE, MOST_HERMITE)))
            if not any(found.entries):
                raise RefusedError("all coefficients are 0")
        else:
            found = Form(False, tuple(sorted(numbers(data, self.key, MOST_ROOTS))))
            if not 0 < found.entries[0] <= found.entries[-1] <= LARGEST_ROOT:
                raise RefusedError(f"the double roots must be above 0 and at most {LARGEST_ROOT}")
            if len(set(found.entries)) < len(found.entries):
                raise RefusedError("a double root occurs twice")
        if max(entry.denominator for entry in found.entries) > DENSEST:
            raise RefusedError("a denominator is above 2**80")
        return found

    def write(self, construction: Form) -> Json:
        """Return the list, or the mapping."""
        entries: Json = [plain(entry) for entry in construction.entries]
        return {HERMITE: entries} if construction.hermite else entries

    def measure(self, construction: Form) -> Value:
        """Return the last sign change of P over 2 pi, a proved enclosure."""
        form = _hermite if construction.hermite else _with_double_roots
        low, high = last_sign_change(form(construction.entries))
        turn = pi() * 2
        return Value(low / turn.upper, high / turn.lower, self.direction)

    def example(self) -> Json:
        """Return one double root."""
        return [4]


def laguerre(degree: int) -> Polynomial:
    """Return the Laguerre polynomial of index -1/2, by its closed form."""
    found: Polynomial = []
    factorial = 1
    for i in range(degree + 1):
        # binomial(degree - 1/2, degree - i) (-1)^i / i!
        binomial = Fraction(1)
        for k in range(degree - i):
            binomial *= (Fraction(2 * degree - 1, 2) - k) / (k + 1)
        found.append(binomial * (-1) ** i / factorial)
        factorial *= i + 1
    return found


def last_sign_change(polynomial: Sequence[Interval]) -> tuple[Fraction, Fraction]:
    """Return bounds of the last z > 0 at which a polynomial changes its sign.

    The upper one is proved: from there on the polynomial is not 0. The lower one is 0 where no
    change of sign just before is proved.

    Args:
        polynomial: enclosures of its coefficients, the constant one first.

    Raises:
        RefusedError: the sign of the leading coefficient is not proved, or nothing else is.
    """
    if polynomial[-1].upper < 0:
        polynomial = [-entry for entry in polynomial]
    if polynomial[-1].lower <= 0:
        raise RefusedError("the leading coefficient is 0, or not proved to be anything else")
    unit = (1 << BITS) / max(abs(entry).upper for entry in polynomial)
    below = [math.floor(entry.lower * unit) for entry in polynomial]
    above = [math.ceil(entry.upper * unit) for entry in polynomial]
    low, high = 0, 1 << STEPS
    while not _positive_from(below, high):
        low, high = high, 2 * high
        if high > LARGEST_ROOT**2 << STEPS:
            raise RefusedError("the last sign change is out of reach")
    settled = 1 << (STEPS - 96)
    while high - low > settled:
        middle = (low + high) // 2
        if _positive_from(below, middle):
            high = middle
        else:
            low = middle
    start = Fraction(max(0, low - settled), 1 << STEPS)
    before = sum(entry * start**i for i, entry in enumerate(above))
    return (start if before < 0 else Fraction(0)), Fraction(high, 1 << STEPS)


def _positive_from(below: Sequence[int], start: int) -> bool:
    """Whether a polynomial with at least these coefficients is proved to be positive from on.

    With z = start + scale u / (1 - u), times (1 - u)^n, u goes from 0 to 1, and the coefficients in
    (z - start) / scale are the Bernstein coefficients but for binomials. Rounded down throughout.
    """
    degree = len(below) - 1
    shifted = list(below)
    for i in range(degree):  # the coefficients in z - start, by Horner's scheme
        for j in range(degree - 1, i - 1, -1):
            shifted[j] += start * shifted[j + 1] >> STEPS
    scale = max(0, start.bit_length() - STEPS)
    return negative(
        [-((entry << scale * i) // math.comb(degree, i)) for i, entry in enumerate(shifted)]
    )


def _hermite(coefficients: Sequence[Fraction]) -> list[Interval]:
    """P over z. H_4k in x is the multiple of L_2k in z = x^2 with the same value at 0."""
    found = [Fraction(0)] * (2 * len(coefficients) + 1)
    for k, entry in enumerate([*coefficients, None]):
        basis = laguerre(2 * k)
        at_zero = Fraction(1)  # H_4k(0) = (4 k)! / (2 k)!
        for factor in range(2 * k + 1, 4 * k + 1):
            at_zero *= factor
        weight = -found[0] if entry is None else entry * at_zero
        for i, term in enumerate(basis):
            found[i] += weight / basis[0] * term
    return [enclosed(entry) for entry in found[1:]]


def _with_double_roots(roots: Sequence[Fraction]) -> list[Interval]:
    """P over z and over all (z - root)^2, with 1 for the last coefficient of P in the basis."""
    basis = [laguerre(2 * k) for k in range(2 * len(roots) + 2)]
    rows = [[entry[0] for entry in basis]]
    for root in roots:
        rows.append([_at(entry, root) for entry in basis])
        rows.append([_at(_derivative(entry), root) for entry in basis])
    weights = [*solution(rows), enclosed(1)]
    found = [enclosed(0)] * len(basis[-1])
    for weight, entry in zip(weights, basis, strict=True):
        for i, term in enumerate(entry):
            found[i] += weight * term
    found = found[1:]
    for root in [*roots, *roots]:
        quotient = [found[-1]]
        for inner in found[-2:0:-1]:  # nothing remains, so the last step is left out
            quotient.append(inner + quotient[-1] * root)
        found = quotient[::-1]
    return found


def solution(rows: Sequence[Sequence[Fraction]]) -> list[Interval]:
    """Return enclosures of the x with rows (x, 1) = 0, by Gaussian elimination with intervals.

    Every row is scaled to numbers up to 1, and every number has `DIGITS` binary places.

    Raises:
        RefusedError: it is not proved that there is exactly one.
    """
    size = len(rows)
    whole = [[_short(enclosed(entry / max(map(abs, row)))) for entry in row] for row in rows]
    for k in range(size):
        pivot = max(range(k, size), key=lambda i: _least(whole[i][k]))
        if _least(whole[pivot][k]) == 0:
            raise RefusedError("the double roots are not proved to determine a function")
        whole[k], whole[pivot] = whole[pivot], whole[k]
        for i in range(k + 1, size):
            share = whole[i][k] / whole[k][k]
            whole[i] = [
                _short(a - share * b) if j > k else a
                for j, (a, b) in enumerate(zip(whole[i], whole[k], strict=True))
            ]
    found = [enclosed(0)] * size
    for k in reversed(range(size)):
        known = whole[k][size]
        for j in range(k + 1, size):
            known = _short(known + whole[k][j] * found[j])
        found[k] = _short(-known / whole[k][k])
    return found


def _short(value: Interval) -> Interval:
    """An interval around another with fewer digits."""
    return Interval(
        Fraction(math.floor(value.lower * (1 << DIGITS)), 1 << DIGITS),
        Fraction(math.ceil(value.upper * (1 << DIGITS)), 1 << DIGITS),
    )


def _least(value: Interval) -> Fraction:
    """The least size of a number in an interval."""
    return max(value.lower, -value.upper, Fraction(0))


def _at(polynomial: Sequence[Fraction], z: Fraction) -> Fraction:
    found = Fraction(0)
    for entry in reversed(polynomial):
        found = found * z + entry
    return found


def _derivative(polynomial: Polynomial) -> Polynomial:
    return [i * entry for i, entry in enumerate(polynomial)][1:]
