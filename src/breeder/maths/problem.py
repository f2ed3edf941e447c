"""The contract of a mathematical problem: what a construction is, and what exactly it is worth."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Generic, NamedTuple, TypeVar

from breeder.core import Direction
from breeder.maths.exact import decimal, float_above, float_below
from breeder.maths.reading import Json
from breeder.maths.refusal import RefusedError
from breeder.maths.sheets import Bound, Record, Sheet, sheet

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Value:
    """What a construction is worth: a number, or a proved interval around it.

    Attributes:
        lower: not above the value.
        upper: not below the value; equal to `lower` where the value is exact.
        direction: which way it improves.
    """

    lower: Fraction
    upper: Fraction
    direction: Direction

    @property
    def certified(self) -> Fraction:
        """What is proved to be reached: the lower end where more is better, else the upper."""
        return self.lower if self.direction is Direction.MAXIMIZE else self.upper

    @property
    def exact(self) -> bool:
        """Whether the value is a number rather than an interval."""
        return self.lower == self.upper

    def decimal(self, digits: int = 12) -> str:
        """Return the certified value with so many decimal places, rounded to the worse side."""
        return decimal(self.certified, digits, up=self.direction is Direction.MINIMIZE)

    def __float__(self) -> float:
        """The float next to the certified value on its worse side."""
        if self.direction is Direction.MAXIMIZE:
            return float_below(self.certified)
        return float_above(self.certified)


class Repaired(NamedTuple, Generic[C]):
    """A construction after `Problem.repair`, with the largest change of any of its numbers."""

    construction: C
    moved: Fraction


class Verified(NamedTuple):
    """What verification found.

    Attributes:
        problem: the problem's name.
        version: of its verifier.
        value: what the construction is worth.
        encoded: the canonical bytes of the construction that was verified, the moved one if any.
        digest: SHA-256 of `encoded`, hexadecimal.
        moved: largest change of a number by the repair; 0 without one.
    """

    problem: str
    version: int
    value: Value
    encoded: bytes
    digest: str
    moved: Fraction


class Problem(ABC, Generic[C]):
    """A problem with an exact verifier. Subclasses are frozen dataclasses of their parameters.

    `C` is the type of a construction that `read` has validated: immutable, of exact numbers.
    Guarantees, for whatever `data` a hostile program or file brings:

    * `read` either returns a construction or raises `RefusedError`; it takes bounded time and
      memory, and looks at nothing but the construction (a claimed value changes nothing).
    * `value` decides every constraint exactly, with tolerance zero, and repairs nothing.
    * `read(write(construction)) == construction`.
    * `repair` changes nothing where `value` accepts, and else moves by the least amount that it
      can find; what it returns is verified like anything else.

    To add a problem: one module with a subclass, one line in `registry`, one file in `records`.

    Attributes:
        family: name of the problem without its parameters, as in `registry`.
        direction: which way the value improves.
        key: where a mapping holds the construction.
        version: of the verifier; raised when the value of any construction may change.
    """

    family: ClassVar[str]
    direction: ClassVar[Direction]
    key: ClassVar[str]
    version: ClassVar[int] = 1

    @property
    @abstractmethod
    def statement(self) -> str:
        """The problem in one line, exactly."""

    @abstractmethod
    def read(self, data: object) -> C:
        """Return the construction that `data` holds: lists, arrays, or a mapping with `key`.

        Raises:
            RefusedError: it is not shaped like one, or holds something that is no number.
        """

    @abstractmethod
    def write(self, construction: C) -> Json:
        """Return a construction as JSON data with exact numbers, in the layout that is read."""

    @abstractmethod
    def measure(self, construction: C) -> Value:
        """Check every constraint exactly and return what a construction is worth.

        Raises:
            RefusedError: a constraint does not hold.
        """

    @abstractmethod
    def example(self) -> Json:
        """Return a plain valid construction, in the layout that is read."""

    def repair(self, construction: C) -> Repaired[C]:
        """Move a construction by the least sufficient amount. Here: there is nothing to move.

        Raises:
            RefusedError: more than a small amount would be needed.
        """
        return Repaired(construction, Fraction(0))

    @property
    def parameters(self) -> dict[str, int]:
        """Name -> number, in the order of the name."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # subclasses are dataclasses
        return {field.name: getattr(self, field.name) for field in fields}

    @property
    def name(self) -> str:
        """The family and the parameters, as in `kissing_11`."""
        return "_".join([self.family, *(str(value) for value in self.parameters.values())])

    @property
    def sheet(self) -> Sheet:
        """What is known: dated records, a proved bound, how to score."""
        return sheet(self.family, self.name)

    @property
    def records(self) -> tuple[Record, ...]:
        """Published values, oldest first; those that nobody could check are marked as claims."""
        return self.sheet.records

    @property
    def best(self) -> Record | None:
        """The best published value that is more than a claim."""
        checked = [record for record in self.records if not record.claim]
        sign = int(self.direction.sign)
        return max(checked, key=lambda record: sign * record.number, default=None)

    @property
    def bound(self) -> Bound | None:
        """A proved bound on any value, if one is known."""
        return self.sheet.bound

    def value(self, construction: C) -> Value:
        """Check a construction and return what it is worth; see `measure`.

        Raises:
            RefusedError: a constraint does not hold, or a proved bound is passed, which no
                construction can do: either the verifier or the bound is wrong then.
        """
        found = self.measure(construction)
        if self.bound is not None and self._better(found.certified, self.bound.number):
            raise RefusedError(
                f"{self.name}: {found.decimal()} passes the proved bound {self.bound.value} "
                f"({self.bound.source})"
            )
        return found

    def exactly(self, number: Fraction | int) -> Value:
        """Return an exact value of this problem."""
        return Value(Fraction(number), Fraction(number), self.direction)

    def verify(self, data: object, *, repair: bool = False) -> Verified:
        """Read, repair if asked to, and verify.

        Raises:
            RefusedError: it is no valid construction.
        """
        construction, moved = self.read(data), Fraction(0)
        if repair:
            construction, moved = self.repair(construction)
        found = self.value(construction)
        encoded = self.encode(construction)
        return Verified(
            self.name, self.version, found, encoded, hashlib.sha256(encoded).hexdigest(), moved
        )

    def encode(self, construction: C) -> bytes:
        """Return a construction as canonical JSON: equal constructions give equal bytes."""
        data = {"problem": self.name, self.key: self.write(construction)}
        return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def decode(self, encoded: bytes) -> C:
        """Return the construction that `encode` wrote; it is read as warily as any other.

        Raises:
            RefusedError: the bytes hold no construction of this problem.
        """
        from breeder.maths.files import parsed

        data = parsed(encoded)
        if not isinstance(data, dict) or data.get("problem") != self.name:
            raise RefusedError(f"these are not the bytes of a construction of {self.name}")
        return self.read(data)

    def score(self, value: Value) -> float:
        """Return what a search should maximise: strictly increasing with the value's quality.

        Where the contest is in late decimals, this is -log10 of the distance to an aim at or beyond
        the record: a digit more is worth 1, wherever it is. Within `resolution` of the aim and
        beyond it, it goes on as a straight line of the same slope. Else it is the value itself,
        negated where less is better.
        """
        known = self.sheet
        if known.aim is None:
            return float(value) * self.direction.sign
        gap = (known.aim - value.certified) * int(self.direction.sign)
        if gap > known.resolution:
            return -_log10(gap)
        return -_log10(known.resolution) + float(1 - gap / known.resolution) / math.log(10)

    def gap(self, value: Value) -> Fraction | None:
        """Return by how much a value falls short of the best record; negative where it is better.

        None where there is no record.
        """
        if self.best is None:
            return None
        return (self.best.number - value.certified) * int(self.direction.sign)

    def _better(self, one: Fraction, other: Fraction) -> bool:
        return (one > other) if self.direction is Direction.MAXIMIZE else (one < other)


def _log10(value: Fraction) -> float:
    # Apart, for the quotient of two large integers may be no float.
    return math.log10(value.numerator) - math.log10(value.denominator)
