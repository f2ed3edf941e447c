"""Number formats of kernels' arrays: how they are stored, and what rounding to them costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Format(NamedTuple):
    """A number format.

    Attributes:
        name: as PyTorch has it.
        stored: type of the elements of arrays; numpy knows no bfloat16, whose bits are stored.
        unit: largest relative error of rounding a number to it.
    """

    name: str
    stored: str
    unit: float

    def encode(self, numbers: Array) -> Array:
        """Round float32 numbers to the format, to the nearest, ties to even."""
        numbers = np.ascontiguousarray(numbers, np.float32)
        if self.stored == "float32":
            return numbers
        bits = numbers.view(np.uint32)
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> 16
        return np.where(np.isnan(numbers), np.uint32(0x7FC0), rounded).astype(np.uint16)

    def decode(self, elements: Array) -> Array:
        """Return the numbers that are stored, as float32."""
        if elements.dtype != np.uint16:
            return elements
        return (elements.astype(np.uint32) << np.uint32(16)).view(np.float32)


FLOAT32 = Format("float32", "float32", 2.0**-24)
BFLOAT16 = Format("bfloat16", "uint16", 2.0**-8)
