"""Sums and differences of sets: lower bounds for the constant of Gyarmati, Hennecart and Ruzsa.

K. Gyarmati, F. Hennecart, I. Z. Ruzsa, "Sums and differences of finite sets" (2007): a finite set U
of non-negative integers with 0 proves that the constant is at least
1 + log(|U - U| / |U + U|) / log(2 max U + 1). Large sets are given by their digits and counted, not
listed. With a mask M of digits, which holds 0, in base q = 2 max M + 1 neither sums nor differences
carry, so their digits may be looked at one by one.

Finite: U has n digits out of M whose total is at most L. A difference d of digits is reached at
least cost by the least b with b, b + d in M, which is the least for both sides at once; sums are
counted by which totals of one side they allow.

Limit (L. Kleinwaks, "A masked-digit lower bound", 2026): let P+ be the sum of exp(-r s) over s in
M + M, and P- that of exp(-r k(d)) over d in M - M, where k(d) is the least a + b with a - b = d.
As n grows with L / n at the mean that r gives k, at most exp(2 r L) (P+)^n sums are left, and of
the differences all but a factor that n's powers bound from exp(2 r L) (P-)^n. So every rate
r >= 0 proves 1 + log(P- / P+) / log q.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NamedTuple

from breeder.core import Direction
from breeder.maths.intervals import BITS, ONE, Interval, exponential, logarithm
from breeder.maths.problem import Problem, Value
from breeder.maths.reading import Json, integer, listing, number, plain
from breeder.maths.refusal import RefusedError

MOST_NUMBERS = 4096
MOST_SPREAD = 1024  # numbers, where some are too large to be bits
LARGEST_BIT = 1 << 22
MOST_DIGITS = 64
LARGEST_LIMIT = 4096
MOST_STEPS = 1 << 18  # per digit, when a finite digit construction is counted
LARGEST_MASK = 1 << 16
LARGEST_RATE = 64
LARGEST_NUMBER = 1 << 62


class Digits(NamedTuple):
    """A set given by its digits.

    Attributes:
        mask: the digits that may occur, in order.
        length: number of digits, and
        limit: largest total of them; both 0 for the limit of long numbers.
        rate: what the limit is taken at; 0 otherwise.
    """

    mask: tuple[int, ...]
    length: int
    limit: int
    rate: Fraction


Construction = tuple[int, ...] | Digits


@dataclass(frozen=True)
class SumsDifferences(Problem[Construction]):
    """Sets with many differences and few sums."""

    family: ClassVar[str] = "sums_differences"
    direction: ClassVar[Direction] = Direction.MAXIMIZE
    key: ClassVar[str] = "U"

    @property
    def statement(self) -> str:
        """The problem in one line, exactly."""
        return (
            "A finite set U of integers from 0 on, with 0, or sets of ever more digits; maximise "
            "1 + log(|U - U| / |U + U|) / log(2 max U + 1), or what it comes near to."
        )

    def read(self, data: object) -> Construction:
        """Return a set.

        A list of integers, or a mapping with it under `U`. Or, there, a mapping with `mask`, a list
        of digits, and either `digits` and `limit`, or `rate`.
        """
        held = data[self.key] if isinstance(data, Mapping) and self.key in data else data
        if isinstance(held, Mapping) and "mask" in held:
            return _digits(held)
        return _ordered(held, self.key, MOST_NUMBERS, LARGEST_NUMBER)

    def write(self, construction: Construction) -> Json:
        """Return the list, or the mapping."""
        if not isinstance(construction, Digits):
            return list(construction)
        mask: Json = list(construction.mask)
        if construction.length:
            return {"mask": mask, "digits": construction.length, "limit": construction.limit}
        return {"mask": mask, "rate": plain(construction.rate)}

    def measure(self, construction: Construction) -> Value:
        """Return the exponent, an interval around logarithms."""
        if not isinstance(construction, Digits):
            sums, differences = _counted(construction)
            base = 2 * construction[-1] + 1
        elif construction.length:
            sums, differences = count_sums(construction), count_differences(construction)
            base = 2 * _largest(construction) + 1
        else:
            return self._limit(construction)
        found = logarithm(Fraction(differences, sums)) / logarithm(base) + 1
        return Value(found.lower, found.upper, self.direction)

    def example(self) -> Json:
        """Return a set with as many sums as differences but for a few."""
        return [0, 1, 3, 7]

    def _limit(self, digits: Digits) -> Value:
        below, above = _powers(digits.rate, 2 * digits.mask[-1])
        plus = [(below[s], above[s]) for s in _set_bits(_sums(digits.mask))]
        minus = [(below[k], above[k]) for k in least_costs(digits.mask).values()]
        least = Fraction(sum(m[0] for m in minus), sum(p[1] for p in plus))
        most = Fraction(sum(m[1] for m in minus), sum(p[0] for p in plus))
        ratio = Interval(logarithm(least).lower, logarithm(most).upper)
        found = ratio / logarithm(2 * digits.mask[-1] + 1) + 1
        return Value(found.lower, found.upper, self.direction)


def least_costs(mask: Sequence[int]) -> dict[int, int]:
    """Return, for every difference of two digits, the least total of two that have it."""
    digits = _as_bits(mask)
    found, costs = 0, {}
    for b in mask:  # in order: the first that is found is the least
        for step in _set_bits(digits >> b & ~found):
            costs[step] = costs[-step] = step + 2 * b
        found |= digits >> b
    return costs


def count_differences(digits: Digits) -> int:
    """Return the number of differences of a finite digit construction.

    Raises:
        RefusedError: it is too large to count.
    """
    pairs = Counter(
        ((cost + step) // 2, (cost - step) // 2) for step, cost in least_costs(digits.mask).items()
    )
    found = _bounded(Counter({(0, 0): 1}), digits.mask)
    for _ in range(digits.length):
        after: Counter[tuple[int, int]] = Counter()
        for (one, other), ways in found.items():
            for (a, b), more in pairs.items():
                if max(one + a, other + b) <= digits.limit:
                    after[one + a, other + b] += ways * more
        found = _bounded(after, digits.mask)
    return found.total()


def count_sums(digits: Digits) -> int:
    """Return the number of sums of a finite digit construction.

    The state after some digits is their total and, as bits, the totals that the first of the two
    numbers may have had; a sum is one where both may stay within the limit.

    Raises:
        RefusedError: it is too large to count.
    """
    splits: dict[int, list[int]] = {}
    for a in digits.mask:
        for b in digits.mask:
            splits.setdefault(a + b, []).append(a)
    within = (1 << (digits.limit + 1)) - 1
    found = _bounded(Counter({(0, 1): 1}), digits.mask)
    for _ in range(digits.length):
        after: Counter[tuple[int, int]] = Counter()
        for (total, firsts), ways in found.items():
            for more, parts in splits.items():
                allowed = 0
                for part in parts:
                    allowed |= firsts << part
                allowed &= within
                if allowed and total + more <= 2 * digits.limit:
                    after[total + more, allowed] += ways
        found = _bounded(after, digits.mask)
    return sum(
        ways for (total, firsts), ways in found.items() if firsts >> max(0, total - digits.limit)
    )


def _as_bits(numbers: Sequence[int]) -> int:
    return sum(1 << number for number in numbers)


def _set_bits(bits: int) -> list[int]:
    return [at for at, digit in enumerate(f"{bits:b}"[::-1]) if digit == "1"]


def _sums(numbers: Sequence[int], others: Sequence[int] | None = None) -> int:
    """All sums of numbers out of two sets, or out of one, as bits."""
    bits, found = _as_bits(numbers), 0
    for other in numbers if others is None else others:
        found |= bits << other
    return found


def _bounded(states: Counter[tuple[int, int]], mask: Sequence[int]) -> Counter[tuple[int, int]]:
    if len(states) * len(mask) ** 2 > MOST_STEPS:
        raise RefusedError("the set is too large to be counted")
    return states


def _largest(digits: Digits) -> int:
    """The largest number: from the first digit down, as much as the limit leaves."""
    found, left, base = 0, digits.limit, 2 * digits.mask[-1] + 1
    for _ in range(digits.length):
        digit = max(entry for entry in digits.mask if entry <= left)
        found, left = found * base + digit, left - digit
    return found


def _counted(numbers: Sequence[int]) -> tuple[int, int]:
    """How many sums and differences a list has.

    Raises:
        RefusedError: it would take too much memory to say.
    """
    top = numbers[-1]
    if top <= LARGEST_BIT:
        mirrored = [top - a for a in reversed(numbers)]
        return _sums(numbers).bit_count(), _sums(numbers, mirrored).bit_count()
    if len(numbers) > MOST_SPREAD:
        raise RefusedError(f"more than {MOST_SPREAD} numbers, and not all up to {LARGEST_BIT}")
    sums: set[int] = set()
    differences: set[int] = set()
    for a in numbers:
        sums.update(map(a.__add__, numbers))
        differences.update(map(a.__sub__, numbers))
    return len(sums), len(differences)


def _powers(rate: Fraction, most: int) -> tuple[list[int], list[int]]:
    """Bounds of exp(-rate k) from below and above for k up to `most`, in fixed point."""
    base = exponential(-rate)
    low = max(int(base.lower * ONE), 0)
    high = min(int(base.upper * ONE) + 1, ONE)
    below, above = [ONE], [ONE]
    for _ in range(most):
        below.append(below[-1] * low >> BITS)
        above.append(-(-above[-1] * high >> BITS))
    return below, above


def _digits(held: Mapping[str, object]) -> Digits:
    mask = _ordered(held, "mask", MOST_NUMBERS, LARGEST_MASK)
    if "rate" in held:
        rate = number(held["rate"], "rate")
        if not 0 <= rate <= LARGEST_RATE:
            raise RefusedError(f"the rate must be 0 to {LARGEST_RATE}")
        return Digits(mask, 0, 0, rate)
    count, limit = (integer(held.get(name), name) for name in ("digits", "limit"))
    if not 1 <= count <= MOST_DIGITS:
        raise RefusedError(f"the number of digits must be 1 to {MOST_DIGITS}")
    if not mask[1] <= limit <= min(count * mask[-1], LARGEST_LIMIT):
        raise RefusedError(
            f"the limit must be from the least digit to the largest total, and at most "
            f"{LARGEST_LIMIT}"
        )
    return Digits(mask, count, limit, Fraction(0))


def _ordered(data: object, key: str, most: int, largest: int) -> tuple[int, ...]:
    """A set of integers from 0 on, of more than one, in order."""
    entries = listing(data, key, most)
    read = sorted({integer(entry, f"{key}[{i}]") for i, entry in enumerate(entries)})
    if len(read) < len(entries):
        raise RefusedError(f"{key}: a number occurs twice")
    if read[0] != 0 or len(read) == 1:
        raise RefusedError(f"{key}: needs 0, nothing below it, and more than that")
    if read[-1] > largest:
        raise RefusedError(f"{key}: {read[-1]} is above {largest}")
    return tuple(read)
