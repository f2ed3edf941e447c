"""Scores products of bfloat16 matrices: sums in float32, and faster than plain loops."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from breeder.kernels import (
    Argument,
    Case,
    Cases,
    Contrast,
    Expected,
    Inputs,
    Kernel,
    TimedTask,
    Tolerance,
    Updated,
    array_of,
)
from breeder.kernels.formats import BFLOAT16

LAYOUTS = ("NN", "NT", "TN", "TT")
GAP = 3  # elements between the rows of an array
FEW = 8  # rows, as decoding has
EPSILON = float(np.finfo(np.float32).eps)
TINY = 16.0 * float(np.finfo(np.float32).tiny)
Array = np.ndarray[Any, Any]


class Product(NamedTuple):
    """What one call is given.

    Attributes:
        m, n, k: sizes.
        layout: A and B; T where the columns lie together in memory, not the rows.
        kind: as of `array_of`.
    """

    m: int
    n: int
    k: int
    layout: str = "NN"
    kind: str = "normal"

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes and layout."""
        return self.m, self.n, self.k, LAYOUTS.index(self.layout)

    @property
    def function(self) -> str:
        """There is one."""
        return ""

    def __str__(self) -> str:
        kind = "" if self.kind == "normal" else f" {self.kind}"
        return f"{self.m} x {self.n} x {self.k} {self.layout}{kind}"


def drawn(inputs: Inputs, kind: str, rows: int, columns: int) -> Array:
    """A matrix with gaps between its rows in memory, as bits."""
    if not rows or not columns:
        return np.zeros((rows, 0), np.uint16)
    inside = array_of(inputs, Case((rows, columns), kind))
    return BFLOAT16.encode(np.hstack([inside, inputs.normal(rows, GAP)]))


def draw(inputs: Inputs, case: Product) -> Sequence[Argument]:
    """The arguments of one call: a, b, c, steps, m, n, k."""
    m, n, k = case.m, case.n, case.k
    left, right = (one == "T" for one in case.layout)
    a = drawn(inputs, case.kind, *((k, m) if left else (m, k)))
    b = drawn(inputs, case.kind.replace("NaN", "normal"), *((n, k) if right else (k, n)))
    c = BFLOAT16.encode(inputs.normal(m, n + GAP))
    c[:, :n] = BFLOAT16.encode(np.full(1, np.nan))  # nothing that a sum may begin with
    steps = [
        *((1, m + GAP) if left else (k + GAP, 1)),
        *((1, k + GAP) if right else (n + GAP, 1)),
        n + GAP,
    ]
    return a, b, Updated(c), np.array(steps, np.int64), m, n, k


def reference(case: Product, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The product in float64, and what float32 sums and one rounding to bfloat16 may be off by.

    Products of two bfloat16 numbers are exact in float32. Sums may be taken in any order, see
    `breeder.kernels.rounding`.
    """
    m, n, k = case.m, case.n, case.k
    a, b = (BFLOAT16.decode(one).astype(float) for one in arguments[:2])
    a = a[:k, :m].T if case.layout[0] == "T" else a[:m, :k]
    b = b[:n, :k].T if case.layout[1] == "T" else b[:k, :n]
    a, b = a.reshape(m, k), b.reshape(k, n)
    value = BFLOAT16.decode(arguments[2].array).astype(float)
    scale = np.zeros_like(value)  # between rows nothing may change
    value[:, :n] = a @ b
    sums = (4.0 + np.sqrt(k + 1.0) / 2.0) * (np.abs(a) @ np.abs(b))
    scale[:, :n] = sums + (BFLOAT16.unit / EPSILON) * (np.abs(value[:, :n]) + EPSILON * sums)
    return [Expected("c", value, Tolerance(EPSILON, TINY, None), np.nan_to_num(scale))]


def unlisted(rng: np.random.Generator) -> list[Product]:
    """Sizes up to 300 in any layout, half of them with few rows."""
    sizes = rng.integers((1, 1, 1, 0), (200, 300, 300, 4), (8, 4)).tolist()
    return [
        Product(1 + m % FEW if few % 2 else m, n, k, LAYOUTS[at])
        for few, (m, n, k, at) in enumerate(sizes)
    ]


CASES = Cases(
    quick=[
        *(Product(3, 5, 7, layout) for layout in LAYOUTS),
        *(Product(33, 18, 70, layout) for layout in LAYOUTS),
        *(Product(rows, 40, 65, "NT") for rows in (1, 2, 7)),
        *(Product(5, 4, 6, "NT", kind) for kind in ("NaN", "zero", "huge")),
    ],
    glance=[Product(48, 64, 64, "NT")],
    search=[
        Product(64, 96, 160, "NT"),
        Product(96, 64, 128, "NN"),
        Product(64, 80, 256, "TN"),
        Product(4, 256, 192, "NT"),
    ],
    held_out=[
        Product(80, 120, 144, "NT"),
        Product(128, 56, 200, "NN"),
        Product(72, 88, 176, "TN"),
        Product(1, 400, 256, "NT"),
        Product(8, 200, 224, "NT"),
    ],
    verified=[
        *(Product(*sizes) for sizes in ((0, 4, 3), (4, 0, 3), (4, 3, 0))),
        *(Product(rows, 100, 129, "NT") for rows in range(1, FEW + 1)),
        *(Product(200, 31, 530, layout) for layout in LAYOUTS),
        *(Product(65, 1, 70, layout) for layout in LAYOUTS),
        *(
            Product(19, 35, 50, layout, kind)
            for layout in LAYOUTS
            for kind in ("NaN", "zero", "tiny", "huge")
        ),
    ],
    unlisted=unlisted,
)
TASK = TimedTask(
    Path(__file__).parent,
    {"matmul_bf16": Kernel("matmul_bf16", draw, reference)},
    CASES,
    Contrast("few_over_many_rows", lambda case: case.m <= FEW),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
