import copy
from typing import ClassVar

import numpy as np
import pytest

from breeder.errors import UserError
from breeder.maths import RefusedError
from breeder.maths.matrix_multiplication import FORMATS, MatrixMultiplication
from conformance.problems import ProblemConformance

# Strassen's seven products. Rows: a11 a12 a21 a22; b11 ...; c11 c21 c12 c22 (transposed).
STRASSEN = {
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


def changed(**entries):
    return {**copy.deepcopy(STRASSEN), **entries}


def one_off(name, row, column, entry):
    data = copy.deepcopy(STRASSEN)
    data[name][row][column] = entry
    return data


def halved(entry):
    return [[entry * x for x in row] for row in STRASSEN["u"]]


class TestMatrixMultiplication(ProblemConformance):
    problem = MatrixMultiplication(2, 2, 2)
    broken: ClassVar = {
        "one entry off": one_off("u", 0, 0, 2),
        "one imaginary part": one_off("w", 3, 5, [1, 1]),
        "one product dropped": {k: [row[:6] for row in v] for k, v in STRASSEN.items()},
        "one product twice": {k: [[*row, row[0]] for row in v] for k, v in STRASSEN.items()},
        "wrong scale": changed(scale=2),
        "scale 0": changed(scale=0),
        "negative scale": changed(scale=-1),
        "wrong normalisation": changed(u=halved(2)),
        "halves where integers belong": changed(u=halved(0.5)),
        "a factor missing": {"u": STRASSEN["u"], "v": STRASSEN["v"]},
        "a row missing": changed(u=STRASSEN["u"][:3]),
        "ragged rows": changed(u=[STRASSEN["u"][0][:6], *STRASSEN["u"][1:]]),
        "factors of different lengths": changed(u=[[*row, 0] for row in STRASSEN["u"]]),
        "triples": one_off("u", 0, 0, [1, 0, 0]),
        "large entry": one_off("u", 0, 0, 10**6),
        "not transposed": changed(w=[STRASSEN["w"][i] for i in (0, 2, 1, 3)]),
    }


class TestFourByFour(ProblemConformance):
    problem = MatrixMultiplication(4, 4, 4)
    published: ClassVar = {"ae_tensor_444.json": ("48", False)}


class TestThreeByThree(ProblemConformance):
    problem = MatrixMultiplication(3, 3, 3)
    published: ClassVar = {"ae_tensor_333.json": ("23", False)}


class TestLargestPublished(ProblemConformance):
    problem = MatrixMultiplication(4, 5, 6)
    published: ClassVar = {"ae_tensor_456.json": ("90", False)}


def test_strassen_takes_seven_products_at_any_scale():
    problem = MatrixMultiplication(2, 2, 2)
    assert problem.verify(STRASSEN).value.lower == 7
    doubled = {k: [[2 * x for x in row] for row in v] for k, v in STRASSEN.items()}
    assert problem.verify({**doubled, "scale": 2}).value.lower == 7


@pytest.mark.parametrize("sides", [(1, 2, 3), (2, 4, 5), (3, 3, 3)])
def test_the_tensor_multiplies_matrices(sides):
    n, m, p = sides
    rng = np.random.default_rng(3)
    a, b = rng.integers(-9, 9, size=(n, m)), rng.integers(-9, 9, size=(m, p))
    tensor = MatrixMultiplication(n, m, p).tensor()
    product = np.einsum("abc,a,b->c", tensor, a.ravel(), b.ravel()).reshape(p, n)
    assert np.array_equal(product.T, a @ b)


def test_more_products_than_the_definition_takes_are_refused():
    wide = {name: [[0] * 9] * 4 for name in "uvw"}
    with pytest.raises(RefusedError, match="more than 8"):
        MatrixMultiplication(2, 2, 2).verify(wide)


def test_listed_formats_are_problems_and_a_side_too_large_is_an_error():
    assert all(MatrixMultiplication(*sides).records for sides in FORMATS)
    with pytest.raises(UserError, match="sides must be"):
        MatrixMultiplication(2, 2, 99)
