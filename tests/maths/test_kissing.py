import itertools
from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths import RefusedError
from breeder.maths.kissing import Kissing
from conformance.problems import ProblemConformance

# The 24 minimal vectors of D4, and the 240 of E8 (scaled by 2).
D4 = [
    [sign * (k == i) + other * (k == j) for k in range(4)]
    for i, j in itertools.combinations(range(4), 2)
    for sign, other in itertools.product((1, -1), repeat=2)
]
E8 = [
    [2 * sign * (k == i) + 2 * other * (k == j) for k in range(8)]
    for i, j in itertools.combinations(range(8), 2)
    for sign, other in itertools.product((1, -1), repeat=2)
] + [list(signs) for signs in itertools.product((1, -1), repeat=8) if np.prod(signs) == 1]


class TestKissing(ProblemConformance):
    problem = Kissing(4)
    broken: ClassVar = {
        "one vector twice": [*D4[:23], D4[0]],
        "one direction twice": [*D4[:23], [2 * x for x in D4[0]]],
        "a vector more": [*D4, [1, 0, 0, 0]],
        "a zero vector": [*D4[:23], [0, 0, 0, 0]],
        "a zero vector with a root": [[0, 0, 0, 0], [1, 0, 0, 0]],
        "nudged by 1e-12": [[1, 1, 0, 0], [1 + 1e-12, 0, 1, 0]],
        "nudged by a fraction": [[1, 1, 0, 0], ["1000000000001/1000000000000", 0, 1, 0]],
        "rows of three": [[1, 0, 0]],
        "rows of unequal length": [[1, 0, 0, 0], [0, 1, 0]],
        "long integers": [[2**200 + 1, 2**199, 1, 0]],
    }


class TestKissing11(ProblemConformance):
    problem = Kissing(11)
    published: ClassVar = {
        "kissing11_alphaevolve_593.json": ("593", False),
        "kissing604.json": ("604", False),
    }


def test_lattices_reach_what_is_proved():
    assert Kissing(4).verify(D4).value.lower == 24
    assert Kissing(8).verify(E8).value.lower == 240


def test_a_hexagon_needs_a_root_and_touches_within_the_integers():
    # 60 degrees exactly: (1, 0, -1), (1, -1, 0), ... in the plane x + y + z = 0.
    hexagon = list(itertools.permutations((1, 0, -1)))
    assert Kissing(3).verify(hexagon).value.lower == 6
    with pytest.raises(RefusedError, match="vectors 0 and"):
        Kissing(3).verify([*hexagon, (1, 1, 1), (2, 1, 0)])


def test_coordinates_with_a_root_of_two_are_decided_exactly():
    # (sqrt 2, 0) and (1, 1) are 45 degrees apart, (sqrt 2, 0) and (0, 1) are 90.
    root, diagonal, up = [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 0]
    assert Kissing(2).verify([root, up]).value.lower == 2
    with pytest.raises(RefusedError, match="less than 60 degrees"):
        Kissing(2).verify([root, diagonal])
    # (1, 1, sqrt 2) and (0, 2, 0) meet at 60 degrees to the last bit: <x, y> = 2, |x| = |y| = 2.
    exact = [[1, 0, 1, 0, 0, 1], [0, 0, 2, 0, 0, 0]]
    assert Kissing(3).verify(exact).value.lower == 2
    over = [[1, 0, 1, 0, 0, 1], ["1/1000000000000", 0, 2, 0, 0, 0]]
    with pytest.raises(RefusedError, match="less than 60 degrees"):
        Kissing(3).verify(over)
    assert Kissing(3).verify(exact).encoded != Kissing(3).verify([exact[1]]).encoded


def test_rotated_floats_are_not_what_the_rotation_was():
    # Near misses of rounding are refused: only an exact construction counts.
    angle = np.pi / 3
    hexagon = [[np.cos(k * angle), np.sin(k * angle)] for k in range(6)]
    with pytest.raises(RefusedError):
        Kissing(2).verify(hexagon)


@pytest.mark.parametrize("seed", range(4))
def test_a_verdict_agrees_with_floats_where_those_can_tell(seed):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        vectors = rng.integers(-9, 10, size=(3, 5))
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        inner = (unit @ unit.T)[np.triu_indices(3, 1)].max()
        if abs(inner - 0.5) < 1e-9:
            continue
        try:
            Kissing(5).verify(vectors)
            accepted = True
        except RefusedError:
            accepted = False
        assert accepted == (inner < 0.5)


def test_a_dimension_that_makes_no_problem_is_an_error():
    with pytest.raises(UserError, match="dimension must be"):
        Kissing(1)
