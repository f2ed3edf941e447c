"""What is known of each problem: dated records with their sources, proved bounds, how to score.

Records go stale in weeks, so they are data: one file `known/FAMILY.toml` per family of problems,
one table per problem in it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "known"


@dataclass(frozen=True, slots=True)
class Record:
    """A published value.

    Attributes:
        value: as an exact decimal string; where the construction is public, this is what it
            verifies to, rounded to the worse side.
        source: who, and where.
        date: year or year-month.
        claim: nobody outside could check it (no construction, or none that verifies).
    """

    value: str
    source: str
    date: str
    claim: bool = False

    @property
    def number(self) -> Fraction:
        """The value."""
        return Fraction(self.value)


@dataclass(frozen=True, slots=True)
class Bound:
    """A proved bound on every value, as a decimal string, with its source."""

    value: str
    source: str

    @property
    def number(self) -> Fraction:
        """The value."""
        return Fraction(self.value)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is known of one problem.

    Attributes:
        records: oldest first.
        bound: proved.
        aim: the value from which distances are scored; None where the value itself is the score.
        resolution: the distance below which the score goes on as a straight line.
    """

    records: tuple[Record, ...] = ()
    bound: Bound | None = None
    aim: Fraction | None = None
    resolution: Fraction = Fraction(1, 10**12)


def sheet(family: str, name: str) -> Sheet:
    """Return what is known of a problem; an empty sheet where nothing is."""
    return _sheets(family).get(name, Sheet())


@cache
def _sheets(family: str) -> dict[str, Sheet]:
    path = FOLDER / f"{family}.toml"
    if not path.exists():
        return {}
    return {name: _sheet(table) for name, table in tomllib.loads(path.read_text("utf-8")).items()}


def _sheet(table: dict[str, Any]) -> Sheet:
    return Sheet(
        tuple(Record(**record) for record in table.get("records", ())),
        Bound(**table["bound"]) if "bound" in table else None,
        Fraction(table["aim"]) if "aim" in table else None,
        Fraction(table.get("resolution", "1e-12")),
    )
