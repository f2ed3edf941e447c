"""The verifiers without NumPy against those with it."""

import itertools

import numpy as np
import pytest

from breeder.maths import RefusedError
from breeder.maths.kissing import Kissing
from breeder.maths.matrix_multiplication import MatrixMultiplication
from breeder.maths.plain import PLAIN, PlainKissing, PlainMatrixMultiplication, PlainRingLoading
from breeder.maths.ring_loading import RingLoading
from conformance.problems import needs_published, published


def verdict(problem, data):
    try:
        return problem.verify(data).value
    except RefusedError:
        return None


def hexagon(shift=0):
    """Six directions in the plane x + y + z = 0, one of them moved by a little."""
    rows = [list(row) for row in itertools.permutations((1, -1, 0))]
    rows[0][0] += shift
    return rows


def test_they_replace_the_verifiers_of_their_problems():
    for kind, plain in PLAIN.items():
        assert issubclass(plain, kind)
        assert plain.family == kind.family


@pytest.mark.parametrize("shift", [0, 2.0**-40, -(2.0**-40), 1])
def test_kissing(shift):
    rows = hexagon(shift)
    assert verdict(PlainKissing(3), rows) == verdict(Kissing(3), rows)
    assert (verdict(PlainKissing(3), rows) is not None) == (shift == 0)


@pytest.mark.parametrize(
    "last", [[0, 1, 0, 0], [-1, 1, 0, 0], [3, -2, 1, 0], [0, 0, 0, 0], [1, 0, 2, 0]]
)
def test_kissing_with_roots_of_two(last):
    rows = [[2, 0, 0, 0], [0, 0, 0, 1], [0, -1, 0, 0], last]
    assert verdict(PlainKissing(2), rows) == verdict(Kissing(2), rows)


def test_kissing_of_random_vectors():
    rng, verdicts = np.random.default_rng(2), set()
    for _ in range(60):
        rows = rng.integers(-2, 3, size=(3, 8))
        verdicts.add(found := verdict(Kissing(4), rows))
        assert verdict(PlainKissing(4), rows) == found
    assert len(verdicts) == 2


def test_matrix_multiplication():
    strassen = {
        "u": [
            [1, 0, 1, 0, 1, -1, 0],
            [0, 0, 0, 0, 1, 0, 1],
            [0, 1, 0, 0, 0, 1, 0],
            [1, 1, 0, 1, 0, 0, -1],
        ],
        "v": [
            [1, 1, 0, -1, 0, 1, 0],
            [0, 0, 1, 0, 0, 1, 0],
            [0, 0, 0, 1, 0, 0, 1],
            [1, 0, -1, 0, 1, 0, 1],
        ],
        "w": [
            [1, 0, 0, 1, -1, 0, 1],
            [0, 1, 0, 1, 0, 0, 0],
            [0, 0, 1, 0, 1, 0, 0],
            [1, -1, 1, 0, 0, 1, 0],
        ],
    }
    full, plain = MatrixMultiplication(2, 2, 2), PlainMatrixMultiplication(2, 2, 2)
    assert verdict(plain, strassen) == verdict(full, strassen) == full.exactly(7)
    turned = {**strassen, "u": [[[0, x] for x in row] for row in strassen["u"]]}
    assert verdict(plain, turned) is verdict(full, turned) is None
    turned["v"] = [[[0, -x] for x in row] for row in strassen["v"]]
    assert verdict(plain, turned) == verdict(full, turned) == full.exactly(7)
    for name, row, at in itertools.product("uvw", range(4), range(7)):
        wrong = {**strassen, name: [list(entries) for entries in strassen[name]]}
        wrong[name][row][at] += 1
        assert verdict(plain, wrong) is verdict(full, wrong) is None


@pytest.mark.parametrize("m", [1, 4, 8])
def test_ring_loading(m):
    rng = np.random.default_rng(m)
    for _ in range(4):
        pairs = rng.random((m, 2)) / 1.9
        assert verdict(PlainRingLoading(m), pairs) == verdict(RingLoading(m), pairs)
    assert verdict(PlainRingLoading(1), [[-0.1, 0.5]]) is None


@needs_published
def test_published_constructions_are_worth_the_same():
    files = {
        "kissing604.json": (PlainKissing(11), 604),
        "ae_tensor_444.json": (PlainMatrixMultiplication(4, 4, 4), 48),
        "ae_tensor_347.json": (PlainMatrixMultiplication(3, 4, 7), 63),
    }
    for data, (problem, value) in published(files):
        assert problem.verify(data).value.lower == value
