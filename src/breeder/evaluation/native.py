"""Calls functions of a compiled shared library by their declared signatures, inside the sandbox."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from breeder.core import FailureKind
from breeder.evaluation.refusal import RefusedError

_SCALARS: Mapping[str, Any] = {
    "int32": ctypes.c_int32,
    "int64": ctypes.c_int64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}
_DIRECTIONS = ("inout", "out")


class NativeProgram:
    """A shared library with declared functions.

    Args:
        library: the file.
        functions: name -> (argument types, return type), as in `sandbox.NativeFunction`.

    Raises:
        RefusedError: COMPILE when the library cannot be loaded.
    """

    def __init__(self, library: str, functions: Mapping[str, tuple[Sequence[str], str]]) -> None:
        self._functions = functions
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            text = str(error)[:500]
            raise RefusedError(FailureKind.COMPILE, f"cannot be loaded: {text}") from None
        self._flush = ctypes.CDLL(None).fflush

    def call(self, function: str, arguments: list[Any]) -> Any:
        """Call a function.

        Returns:
            What it returns; with `inout` or `out` arrays, a list of that and of those arrays.

        Raises:
            RefusedError: MISSING when the library lacks it or it was not declared.
            ValueError: the arguments do not fit the signature.
        """
        if function not in self._functions:
            raise RefusedError(FailureKind.MISSING, f"{function!r} has no declared signature")
        types, returns = self._functions[function]
        target = getattr(self._library, function, None)
        if target is None:
            raise RefusedError(FailureKind.MISSING, f"there is no function {function!r}")
        if len(types) != len(arguments):
            raise ValueError(f"{function} takes {len(types)} arguments, {len(arguments)} given")
        target.restype = None if returns == "void" else _SCALARS[returns]
        passed: list[Any] = []
        answered: list[Any] = []
        for declared, value in zip(types, arguments, strict=True):
            if not declared.endswith("[]"):
                passed.append(_SCALARS[declared](value))
                continue
            array, direction = _array(declared, value)
            passed.append(ctypes.c_void_p(array.ctypes.data))
            # Read-only arrays are kept too: the pointer alone would not keep them alive.
            answered.append((direction, array))
        result = target(*passed)
        self._flush(None)  # what C printed
        changed = [array for direction, array in answered if direction]
        return [result, *changed] if changed else result


def _array(declared: str, value: Any) -> tuple[np.ndarray[Any, Any], str]:
    """Return the array to pass and `inout`, `out` or nothing."""
    words = declared[:-2].split()
    direction = words[0] if words[0] in _DIRECTIONS else ""
    dtype = np.dtype(words[-1])
    if direction == "out":
        # Values that a function forgot to write are recognisable.
        fill = np.nan if dtype.kind == "f" else -1
        return np.full(value, fill, dtype=dtype), direction
    return np.array(value, dtype=dtype, order="C"), direction
