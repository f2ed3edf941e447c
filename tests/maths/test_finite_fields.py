import itertools
from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths import RefusedError
from breeder.maths.finite_fields import Kakeya, Nikodym
from conformance.problems import ProblemConformance

PLANE = [[x, y] for x in range(3) for y in range(3)]
WHOLE = [[[a, b], [c, d]] for a, b, c, d in itertools.product(range(3), repeat=4)]


class TestKakeyaInThePlane(ProblemConformance):
    problem = Kakeya(2, 3)
    broken: ClassVar = {
        "no line in one direction": [[0, 0], [1, 0], [2, 0], [0, 1], [0, 2], [1, 1]],
        "a point twice": [*PLANE, [0, 0]],
        "a point twice, modulo p": [*PLANE[:-1], [3, 0]],
        "off the field": [*PLANE[:-1], [-1, 2]],
        "fractions": [[0.5, 0], *PLANE[1:]],
        "three columns": [[*row, 0] for row in PLANE],
    }


class TestKakeyaOf5(ProblemConformance):
    problem = Kakeya(3, 5)
    published: ClassVar = {
        "kakeya3d_p5_alphaevolve.json": ("53", False),
        "kakeya3d_p5_sarafsudan.json": ("61", False),
    }


class TestKakeyaOf7(ProblemConformance):
    problem = Kakeya(3, 7)
    published: ClassVar = {"kakeya3d_p7_alphaevolve.json": ("128", False)}


class TestNikodym(ProblemConformance):
    problem = Nikodym(3)
    broken: ClassVar = {
        "no line through one point": WHOLE[:40],
        "a point twice": [*WHOLE, WHOLE[0]],
        "off the field": [*WHOLE[:-1], [[0, 0], [0, 3]]],
        "triples": [[[0, 0, 0], [0, 0, 0]]],
    }
    published: ClassVar = {"nikodym2d_q9_alphaevolve.json": ("67", False)}


class TestNikodymOf25(ProblemConformance):
    problem = Nikodym(5)
    published: ClassVar = {"nikodym2d_q25_alphaevolve.json": ("547", False)}


def has_all_lines(points, d, p):
    """The definition once more: shifted copies of an indicator, one direction after the other."""
    held = np.zeros((p,) * d, dtype=bool)
    held[tuple(np.array(points).T)] = True
    axes = tuple(range(d))
    return all(
        np.logical_and.reduce(
            [np.roll(held, [-t * v for v in way], axis=axes) for t in range(p)]
        ).any()
        for way in itertools.product(range(p), repeat=d)
        if any(way)
    )


@pytest.mark.parametrize(("d", "p"), [(2, 3), (2, 7), (3, 3), (3, 5), (4, 3)])
def test_the_verdict_agrees_with_the_definition(d, p):
    problem, rng = Kakeya(d, p), np.random.default_rng(p)
    plain = problem.example()
    assert has_all_lines(plain, d, p)
    verdicts = set()
    for _ in range(20):
        fewer = [row for row in plain if rng.random() > 0.5 / len(plain)]
        expected = has_all_lines(fewer, d, p)
        try:
            assert problem.verify(fewer).value.lower == len(fewer)
            assert expected
        except RefusedError:
            assert not expected
        verdicts.add(expected)
    assert True in verdicts


@pytest.mark.parametrize("p", [3, 5, 7, 11, 13])
def test_one_formula_serves_all_primes(p):
    half = (p + 1) // 2
    value = Kakeya(3, p).verify(Kakeya(3, p).example()).value
    assert value.lower == (p - 1) * half**2 + p**2


@pytest.mark.parametrize("p", [3, 5, 7, 11, 13, 17])
def test_a_published_formula_has_its_size_for_all_primes(p):
    """The union of a surface's inside and a plane's; published with the sizes, in Lean."""
    squares = {t * t % p for t in range(p)}
    points = {
        (x, y, z)
        for x, y, z in itertools.product(range(p), repeat=3)
        if {(x * x + 4 * y) % p, (x * x + 4 * z) % p} <= squares
        or (x == 0 and (y == 0 or (y * y - z) % p in squares))
    }
    linear = 4 * p - 5 if p % 4 == 1 else 2 * p - 3
    size = (2 * p**3 + 7 * p**2 + linear) // 8
    problem = Kakeya(3, p)
    assert problem.verify(sorted(points)).value.lower == size
    if p % 4 == 1:
        assert problem.records[0].number == size


SMALL = (5, 13, 17, 29)
LARGE = tuple(pytest.param(p, marks=pytest.mark.slow) for p in (37, 41, 53, 61))


@pytest.mark.parametrize("p", [*SMALL, *LARGE])
def test_the_best_published_size_is_that_of_a_set_for_every_prime_that_is_1_mod_4(p):
    """Of a product of squares across the tangents z = c y + c^2 - 1, in the plane x = 0."""
    squares = {t * t % p for t in range(p)}
    tangents = {(y, (c * y + c * c - 1) % p) for y in range(p) for c in range(p)}
    # One more line, along z, at the y where the fewest points are missing.
    missing = {
        y: sum(
            (y, z) not in tangents and not {(y + z) % p, (y - z) % p} <= squares for z in range(p)
        )
        for y in range(p)
    }
    last = min(missing, key=missing.get)
    points = [
        (x, y, z)
        for x, y, z in itertools.product(range(p), repeat=3)
        if {(x * x + 4 * (y + z)) % p, (x * x + 4 * (y - z)) % p} <= squares
        or (x == 0 and (y == last or (y, z) in tangents))
    ]
    problem = Kakeya(3, p)
    value = problem.verify(points).value.lower
    assert value == (2 * p**3 + 7 * p**2 - 1) // 8 == problem.best.number


def nikodym_by_definition(points, p):
    """With numbers of the field as a + b i in a table of products."""
    square = next(s for s in range(p) if all(t * t % p != s for t in range(p)))
    field = list(itertools.product(range(p), repeat=2))

    def plus(x, y):
        return ((x[0] + y[0]) % p, (x[1] + y[1]) % p)

    def times(x, y):
        return ((x[0] * y[0] + square * x[1] * y[1]) % p, (x[0] * y[1] + x[1] * y[0]) % p)

    assert all(any(times(x, y) == (1, 0) for y in field) for x in field if x != (0, 0))
    held = {(tuple(x), tuple(y)) for x, y in points}
    ways = [((0, 0), (1, 0)), *(((1, 0), slope) for slope in field)]
    return all(
        any(
            all(
                (plus(x, times(t, way[0])), plus(y, times(t, way[1]))) in held
                for t in field
                if t != (0, 0)
            )
            for way in ways
        )
        for x in field
        for y in field
    )


def test_a_nikodym_set_is_one_by_the_definition():
    rng, verdicts = np.random.default_rng(1), set()
    for _ in range(20):
        fewer = [row for row in WHOLE if rng.random() > 0.12]
        expected = nikodym_by_definition(fewer, 3)
        try:
            Nikodym(3).verify(fewer)
            assert expected
        except RefusedError:
            assert not expected
        verdicts.add(expected)
    assert verdicts == {True, False}


@pytest.mark.parametrize(("d", "p"), [(1, 5), (2, 4), (2, 2), (3, 67), (5, 3)])
def test_a_space_that_makes_no_problem_is_an_error(d, p):
    with pytest.raises(UserError, match="needs a dimension"):
        Kakeya(d, p)


def test_a_field_that_makes_no_problem_is_an_error():
    with pytest.raises(UserError, match="needs an odd prime"):
        Nikodym(9)
