"""Fresh random inputs, cheap enough that every timed call gets its own."""

from __future__ import annotations

import math
import secrets
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, Any]

_POOL = 1 << 20
"""Numbers in the pool: 4 MiB of float32."""


class Inputs:
    """Draws arrays as random windows of a pool of normal numbers, scaled anew each time.

    Two windows with the same numbers need the same offset (one of a million) and the same scale
    (drawn from a continuum), so no input of a trial ever comes again.

    Args:
        entropy: seed of everything drawn; None takes 128 bits from the operating system, which is
            what a measurement needs: nobody can know its inputs beforehand.

    Attributes:
        entropy: the seed, for the record.
        rng: generator for whatever else a kernel's inputs need.
    """

    def __init__(self, entropy: int | None = None) -> None:
        self.entropy = secrets.randbits(128) if entropy is None else entropy
        self.rng = np.random.default_rng(self.entropy)
        self._pool: Array = np.empty(0, np.float32)

    def normal(self, *shape: int, scale: float = 1.0, dtype: DTypeLike = np.float32) -> Array:
        """Numbers that are normal with standard deviation about `scale`.

        The scale itself varies by up to an eighth, so that no two windows hold equal numbers.
        """
        count = math.prod(shape)
        if self._pool.size < 2 * count + 1:
            self._pool = self.rng.standard_normal(max(_POOL, 4 * count), np.float32)
        begin = int(self.rng.integers(self._pool.size - count))
        factor = np.float32(scale * self.rng.uniform(0.875, 1.125))
        window = self._pool[begin : begin + count] * factor
        return window.reshape(shape).astype(dtype, copy=False)

    def magnitude(self, low: float, high: float) -> float:
        """A number between `low` and `high`, uniform on a logarithmic scale."""
        return float(math.exp(self.rng.uniform(math.log(low), math.log(high))))
