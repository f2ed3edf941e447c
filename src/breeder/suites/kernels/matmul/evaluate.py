"""Scores products of float32 matrices: as exact as asked for, and faster than plain loops."""

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
    rounding,
)

LAYOUTS = ("NN", "NT", "TN", "TT")
ROUNDED = {1: 2.0**-7 + 2.0**-16, 2: 3 * 2.0**-16, 3: 0.0}
"""Parts of an operand -> what a product of two elements may be off by, of its magnitude."""
NORM = {1: 4e-3, 2: 8e-6, 3: 0.0}
"""The same for the L2 norm of all results, where errors of like size average out."""
GAP = 3  # elements between the rows of an array
Array = np.ndarray[Any, Any]


class Product(NamedTuple):
    """What one call is given.

    Attributes:
        m, n, k: sizes.
        layout: A and B; T where the columns lie together in memory, not the rows.
        parts: how exact, see task.toml.
        add: whether the product is added to what is there.
        kind: as of `array_of`, or `wide`: magnitudes over twelve decades.
    """

    m: int
    n: int
    k: int
    layout: str = "NN"
    parts: int = 3
    add: bool = False
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
        words = [self.layout, f"{self.parts} parts", "added" if self.add else "", self.kind]
        return f"{self.m} x {self.n} x {self.k} " + " ".join(filter(None, words))


def drawn(inputs: Inputs, case: Product, rows: int, columns: int) -> Array:
    """A matrix with gaps between its rows in memory."""
    x = (
        array_of(inputs, Case((rows, columns + GAP), case.kind))
        if rows
        else np.zeros((0, 0), np.float32)
    )
    if case.kind == "wide":
        x *= 10.0 ** inputs.rng.uniform(-6, 6, x.shape).astype(np.float32)
    return x


def draw(inputs: Inputs, case: Product) -> Sequence[Argument]:
    """The arguments of one call: a, b, c, steps, m, n, k, add, parts."""
    m, n, k = case.m, case.n, case.k
    a = drawn(inputs, case, *((k, m) if case.layout[0] == "T" else (m, k)))
    b = drawn(inputs, case._replace(kind=case.kind.replace("NaN", "normal")),
              *((n, k) if case.layout[1] == "T" else (k, n)))  # fmt: skip
    c = inputs.normal(m, n + GAP)
    if not case.add:
        c[:, :n] = np.nan  # nothing that a sum may begin with
    steps = [(1, k + GAP) if case.layout[1] == "T" else (n + GAP, 1), (n + GAP,)]
    steps.insert(0, (1, m + GAP) if case.layout[0] == "T" else (k + GAP, 1))
    flat = np.array([one for some in steps for one in some], np.int64)
    return a, b, Updated(c), flat, m, n, k, int(case.add), case.parts


def reference(case: Product, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The product in float64, and that of absolute values, which errors are measured against."""
    m, n, k = case.m, case.n, case.k
    a, b = (one.astype(float) for one in arguments[:2])
    a = a[:k, :m].T if case.layout[0] == "T" else a[:m, :k]
    b = b[:n, :k].T if case.layout[1] == "T" else b[:k, :n]
    a, b = a.reshape(m, k), b.reshape(k, n)
    value = arguments[2].array.astype(float)
    scale = np.abs(value)
    before, size = (value[:, :n], scale[:, :n]) if case.add else (0.0, 0.0)
    value[:, :n], scale[:, :n] = a @ b + before, np.abs(a) @ np.abs(b) + size
    exact = rounding(np.float32, terms=k + 1)
    tolerance = Tolerance(
        exact.relative + ROUNDED[case.parts],
        exact.absolute,
        (exact.norm or 0.0) + NORM[case.parts] if case.kind == "normal" and k > 1 else None,
    )
    return [Expected("c", value, tolerance, np.nan_to_num(scale))]


def unlisted(rng: np.random.Generator) -> list[Product]:
    """Sizes up to 300, any layout and number of parts."""
    sizes = rng.integers((1, 1, 1, 0, 1, 0), (200, 300, 300, 4, 4, 2), (8, 6)).tolist()
    return [Product(m, n, k, LAYOUTS[t], parts, bool(add)) for m, n, k, t, parts, add in sizes]


CASES = Cases(
    quick=[
        *(Product(3, 5, 7, layout) for layout in LAYOUTS),
        *(Product(33, 18, 40, layout, 2, add=True) for layout in LAYOUTS),
        *(Product(1, 1, 1, parts=parts) for parts in (1, 2, 3)),
        *(Product(20, 33, 70, "NT", parts) for parts in (1, 2, 3)),
        *(Product(rows, 40, 65, "NT") for rows in (1, 2, 7)),
        *(Product(5, 4, 6, "NT", 3, kind=kind) for kind in ("NaN", "zero", "huge", "wide")),
    ],
    glance=[Product(48, 64, 64, "NT")],
    search=[
        Product(64, 96, 160, "NT"),
        Product(96, 64, 128, "NN", 2),
        Product(64, 80, 256, "TN"),
        Product(48, 128, 96, "NT", 1),
        Product(4, 256, 192, "NT"),
    ],
    held_out=[
        Product(80, 120, 144, "NT"),
        Product(128, 56, 200, "NN"),
        Product(72, 88, 176, "TN", 2),
        Product(100, 100, 100, "NT", 1),
        Product(1, 400, 256, "NT"),
        Product(8, 200, 224, "NT"),
    ],
    verified=[
        *(
            Product(*sizes, add=add)
            for sizes in ((0, 4, 3), (4, 0, 3), (4, 3, 0))
            for add in (False, True)
        ),
        *(Product(rows, 100, 129, "NT", parts) for rows in range(1, 9) for parts in (1, 3)),
        *(Product(200, 31, 530, layout) for layout in LAYOUTS),
        *(Product(40, 290, 100, layout, 2) for layout in LAYOUTS),
        *(Product(1, 100, 33, layout, 1) for layout in LAYOUTS),
        *(Product(65, 1, 70, layout, parts=2, add=True) for layout in LAYOUTS),
        *(
            Product(19, 35, 50, "TN", parts, kind=kind)
            for parts in (1, 2, 3)
            for kind in ("NaN", "zero", "tiny", "huge", "wide")
        ),
    ],
    unlisted=unlisted,
)
KERNEL = Kernel("matmul", draw, reference)
TASK = TimedTask(
    Path(__file__).parent,
    {"matmul": KERNEL},
    CASES,
    Contrast("rounded_over_exact", lambda case: case.parts < 3),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
