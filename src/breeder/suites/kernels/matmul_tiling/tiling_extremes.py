"""Products of extreme operands: every element against float64, where rounding or NaN could show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from tiling_clock import Operands
from tiling_family import Shape, Tiling
from tiling_kernels import Kernels

from breeder.errors import EvaluatorError

Matrix = npt.NDArray[np.float32]
Draw = Callable[[np.random.Generator, int, int], Matrix]


def _normal(rng: np.random.Generator, rows: int, columns: int) -> Matrix:
    return rng.standard_normal((rows, columns), dtype=np.float32)


def _large(rng: np.random.Generator, rows: int, columns: int) -> Matrix:
    return _normal(rng, rows, columns) * np.float32(1e15)


def _small(rng: np.random.Generator, rows: int, columns: int) -> Matrix:
    return _normal(rng, rows, columns) * np.float32(1e-15)


def _wide(rng: np.random.Generator, rows: int, columns: int) -> Matrix:
    """Magnitudes over ten decades, so that sums cancel or drown."""
    return _normal(rng, rows, columns) * np.float32(10.0) ** rng.uniform(
        -5, 5, (rows, columns)
    ).astype(np.float32)


def _special(rng: np.random.Generator, rows: int, columns: int) -> Matrix:
    """Zeros of both signs with one NaN and one infinity."""
    values = _normal(rng, rows, columns)
    values[rng.random((rows, columns)) < 0.3] = 0.0
    values[rng.random((rows, columns)) < 0.1] = -0.0
    values.flat[rng.integers(values.size)] = np.inf
    values.flat[rng.integers(values.size)] = np.nan
    return values


KINDS: dict[str, Draw] = {
    "normal": _normal, "large": _large, "small": _small, "wide": _wide, "special": _special,
}  # fmt: skip


def check(kernels: Kernels, shape: Shape, tiling: Tiling, kind: str, *, seed: int) -> None:
    """Multiply operands of a kind into a poisoned result and check all of its elements.

    Operands must come out of it as they went in.

    Raises:
        EvaluatorError: the product is wrong, or an operand was written to.
    """
    rng = np.random.default_rng(seed)
    operands = Operands(shape, 1, lambda rows, columns: KINDS[kind](rng, rows, columns))
    before = [array.tobytes() for array in operands.arrays[:2]]
    operands.poison()
    kernels.run(shape, operands.arrays, tiling)
    operands.check(0, tiling)
    if before != [array.tobytes() for array in operands.arrays[:2]]:
        raise EvaluatorError(f"matmul_tiling: {shape} with {tiling} wrote to its operands")
