"""What every mathematical problem must do. Subclass `ProblemConformance` and give `problem`."""

import copy
import json
import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from breeder.core import Direction
from breeder.maths import Problem, RefusedError, problem
from breeder.maths.files import load
from breeder.maths.sheets import FOLDER

# What a hostile file or program may put where a number belongs.
NO_NUMBERS = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus infinity": -float("inf"),
    "numpy nan": np.float64("nan"),
    "complex": 0.5 + 0j,
    "boolean": True,
    "numpy boolean": np.bool_(False),
    "string": "0.5",
    "string of nan": "nan",
    "string with an exponent": "1e-1",
    "quotient by zero": "1/0",
    "long quotient": "1/" + "7" * 400,
    "string of digits from elsewhere": "١/٢",
    "large exponent": 1e300,
    "small exponent": 1e-300,
    "large integer": 10**400,
    "none": None,
    "empty list": [],
    "mapping": {"value": 1},
    "bytes": b"1",
}
NO_CONSTRUCTIONS = {
    "nothing": None,
    "number": 7,
    "text": "1/2",
    "bytes": b"[1]",
    "empty list": [],
    "empty mapping": {},
    "boolean array": np.ones((26, 3), dtype=bool),
    "complex array": np.ones((26, 3), dtype=complex),
    "array of objects": np.array([[None] * 3] * 26, dtype=object),
    "array of strings": np.array(["1", "2"]),
    "array without dimensions": np.array(0.5),
    "array of four dimensions": np.ones((2, 2, 2, 2)),
    "empty array": np.ones((0, 3)),
    "wide array": np.ones((1, 1_000_000)),
    "long array": np.ones((1_000_000, 1)),
}

needs_published = pytest.mark.skipif(
    not os.environ.get("BREEDER_MATHS"),
    reason="BREEDER_MATHS does not point at published constructions",
)


def places(data: Any) -> list[tuple[Any, ...]]:
    """Where the numbers of nested lists and mappings are."""
    found: list[tuple[Any, ...]] = []
    entries: Any = ()
    if isinstance(data, dict):
        entries = data.items()
    elif isinstance(data, list):
        entries = enumerate(data)
    else:
        return [()]
    for key, entry in entries:
        found += [(key, *rest) for rest in places(entry)]
    return found


def replaced(data: Any, place: tuple[Any, ...], entry: Any) -> Any:
    """A copy with one entry replaced."""
    changed = copy.deepcopy(data)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = entry
    return changed


def repeated(data: Any, count: int) -> Any:
    """A copy in which the outermost lists repeat their first entry."""
    if isinstance(data, dict):
        return {key: repeated(entry, count) for key, entry in data.items()}
    return [data[0]] * count if isinstance(data, list) else data


class ProblemConformance:
    """Shared checks of one problem.

    Attributes:
        problem: which.
        broken: name -> data that has the right shape and breaks a rule, by however little.
        mended: name -> data that only holds after a repair.
        published: file -> (value at as many digits as the literature gives, whether it takes a
            repair), rounded to the worse side.
        refused: published files that do not hold even after a repair.
    """

    problem: ClassVar[Problem[Any]]
    broken: ClassVar[Mapping[str, Any]] = {}
    mended: ClassVar[Mapping[str, Any]] = {}
    published: ClassVar[Mapping[str, tuple[str, bool]]] = {}
    refused: ClassVar[tuple[str, ...]] = ()

    def test_the_name_leads_back_to_the_problem(self):
        assert problem(self.problem.name) == self.problem

    def test_the_statement_is_one_line(self):
        assert self.problem.statement.strip()
        assert "\n" not in self.problem.statement

    def test_the_example_verifies_and_needs_no_repair(self):
        plain = self.problem.verify(self.problem.example())
        repaired = self.problem.verify(self.problem.example(), repair=True)
        assert plain == repaired
        assert repaired.moved == 0
        assert plain.value.lower <= plain.value.upper

    def test_what_breaks_a_rule_is_refused(self):
        for name, data in self.broken.items():
            with pytest.raises(RefusedError):
                pytest.fail(f"{name}: {self.problem.verify(data).value}")

    def test_what_can_be_mended_holds_only_after_a_repair(self):
        for name, data in self.mended.items():
            with pytest.raises(RefusedError):
                pytest.fail(f"{name}: {self.problem.verify(data).value}")
            mended = self.problem.verify(data, repair=True)
            assert mended.moved > 0
            again = self.problem.verify(json.loads(mended.encoded))
            assert (again.value, again.digest) == (mended.value, mended.digest)

    @pytest.mark.parametrize("kind", NO_NUMBERS)
    def test_what_is_no_number_is_refused(self, kind):
        example = self.problem.example()
        found = places(example)
        for place in {found[0], found[len(found) // 2], found[-1]}:
            data = replaced(example, place, NO_NUMBERS[kind])
            for repair in (False, True):
                with pytest.raises(RefusedError):
                    self.problem.verify(data, repair=repair)

    @pytest.mark.parametrize("kind", NO_CONSTRUCTIONS)
    def test_what_is_no_construction_is_refused(self, kind):
        for data in (NO_CONSTRUCTIONS[kind], {self.problem.key: NO_CONSTRUCTIONS[kind]}):
            with pytest.raises(RefusedError):
                self.problem.verify(data)

    def test_what_is_enormous_is_refused(self):
        with pytest.raises(RefusedError):
            self.problem.verify(repeated(self.problem.example(), 200_000))

    def test_what_is_nested_deeply_is_refused(self):
        nested: Any = 0.5
        for _ in range(1000):
            nested = [nested]
        with pytest.raises(RefusedError):
            self.problem.verify(nested)

    def test_a_claimed_value_changes_nothing(self):
        claims = {"value": 1e9, "score": float("nan"), "problem": "?", "n": -1, "rank": 1}
        bare = self.problem.verify(self.problem.example())
        claimed = self.problem.verify({self.problem.key: self.problem.example(), **claims})
        assert claimed == bare

    def test_a_construction_survives_its_encoding(self):
        construction = self.problem.read(self.problem.example())
        encoded = self.problem.encode(construction)
        assert self.problem.decode(encoded) == construction
        assert self.problem.encode(self.problem.decode(encoded)) == encoded
        assert self.problem.read(self.problem.write(construction)) == construction

    def test_bytes_of_another_problem_are_refused(self):
        encoded = self.problem.encode(self.problem.read(self.problem.example()))
        other = encoded.replace(self.problem.name.encode(), b"another")
        for damaged in (other, encoded[:-1], b"\xff", b"[]"):
            with pytest.raises(RefusedError):
                self.problem.decode(damaged)

    def test_an_array_is_read_like_a_list(self):
        example = self.problem.example()
        if isinstance(example, list):
            read = self.problem.read(np.array(example, dtype=np.float64))
            assert read == self.problem.read(example)

    def test_a_better_value_scores_more(self):
        known, sign = self.problem.sheet, int(self.problem.direction.sign)
        middle = known.aim if known.aim is not None else Fraction(50)
        gaps = [s * Fraction(10) ** e for s in (1, -1) for e in range(-13, 3)]
        ordered = sorted(gaps, reverse=True)
        scores = [self.problem.score(self.problem.exactly(middle - sign * gap)) for gap in ordered]
        if known.aim is not None:
            assert all(low < high for low, high in pairwise(scores))
        assert scores[0] < scores[-1]
        assert scores == sorted(scores)

    def test_no_record_passes_the_proved_bound(self):
        bound = self.problem.bound
        for record in self.problem.records if bound is not None else ():
            if self.problem.direction is Direction.MAXIMIZE:
                assert record.number <= bound.number
            else:
                assert record.number >= bound.number

    def test_records_are_sourced_and_dated(self):
        assert all(r.source and r.date[:2] in ("19", "20") for r in self.problem.records)
        assert [r.date for r in self.problem.records] == sorted(
            (r.date for r in self.problem.records), key=lambda date: date[:4]
        )

    @needs_published
    def test_published_constructions_come_out_at_their_values(self):
        for data, (value, repair) in published(self.published):
            verified = self.problem.verify(data, repair=repair)
            digits = len(value.partition(".")[2])
            assert verified.value.decimal(digits) == value
            assert (verified.moved > 0) == repair
            if repair:
                with pytest.raises(RefusedError):
                    self.problem.verify(data)

    @needs_published
    def test_published_constructions_that_do_not_hold_are_refused(self):
        for data, _ in published(dict.fromkeys(self.refused)):
            with pytest.raises(RefusedError):
                self.problem.verify(data, repair=True)


def published(files: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The data of published files that are there, each with what is said of it."""
    folder = Path(os.environ["BREEDER_MATHS"])
    for name, said in files.items():
        yield load(folder / name), said


def sheets() -> list[str]:
    """The families that records are kept of."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))
