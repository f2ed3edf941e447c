"""Calls that lie ready in a worker's memory, and the loops that make them under the clock.

The loops are all that runs between the evaluator's two readings of the clock, so they hold nothing
but the calls. What a program can gain by changing this module is only its own discredit: clock,
inputs and verdict are elsewhere.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from breeder.core import FailureKind
from breeder.evaluation import wire
from breeder.evaluation.refusal import RefusedError

SCALARS: Mapping[str, Any] = {
    "int32": ctypes.c_int32,
    "int64": ctypes.c_int64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}
_DIRECTIONS = ("inout", "out")
_ALIGNMENT = 64  # a cache line, and the widest vector


class Batch(Protocol):
    """Calls of one function."""

    def arm(self) -> None:
        """Make everything as it was before the first run; outputs hold NaN or -1."""
        ...

    def run(self) -> None:
        """Make every call once, in order."""
        ...

    def output(self, index: int) -> Any:
        """What call number `index` answered."""
        ...

    def arguments(self, index: int) -> list[Any]:
        """The arguments of call number `index` as they are now."""
        ...


class Argument(NamedTuple):
    """An argument as it was laid out.

    Attributes:
        passed: what ctypes passes.
        value: the scalar, or the array that the pointer points into.
        direction: `inout`, `out`, or nothing.
        start: what an `inout` array holds before each run.
    """

    passed: Any
    value: Any
    direction: str = ""
    start: np.ndarray[Any, Any] | None = None


class NativeBatch:
    """Calls of a compiled function, with ready pointers."""

    def __init__(
        self,
        target: Callable[..., Any],
        flush: Callable[[None], Any],
        calls: Sequence[Sequence[Argument]],
    ) -> None:
        self._target = target
        self._flush = flush
        self._calls = calls
        self._passed = [tuple(argument.passed for argument in call) for call in calls]
        self._results: list[Any] = []

    def arm(self) -> None:
        """See `Batch.arm`."""
        self._flush(None)  # what C printed in the last run
        for call in self._calls:
            for argument in call:
                if argument.start is not None:
                    np.copyto(argument.value, argument.start)
                elif argument.direction:
                    poison(argument.value)

    def run(self) -> None:
        """See `Batch.run`."""
        target = self._target
        self._results = [target(*passed) for passed in self._passed]

    def output(self, index: int) -> Any:
        """See `Batch.output`."""
        return answer_of(self._results[index], self._calls[index])

    def arguments(self, index: int) -> list[Any]:
        """See `Batch.arguments`; an `out` array stands as its shape."""
        return [
            list(argument.value.shape) if argument.direction == "out" else argument.value
            for argument in self._calls[index]
        ]


class PythonBatch:
    """Calls of a Python function.

    Answers are turned into bytes as part of the call: whatever they put off until somebody looks
    at them happens under the clock.

    Args:
        target: the function.
        packed: the calls' arguments, as `wire.encode` gives them.
    """

    def __init__(self, target: Callable[..., Any], packed: bytes) -> None:
        self._target = target
        self._packed = packed
        self._calls: list[list[Any]] = wire.decode(packed)
        self._fresh = True
        self._answers: list[bytes] = []

    def arm(self) -> None:
        """See `Batch.arm`."""
        self._answers = []
        if not self._fresh:
            self._calls = wire.decode(self._packed)
        self._fresh = False

    def run(self) -> None:
        """See `Batch.run`."""
        target, encode = self._target, wire.encode
        try:
            self._answers = [encode(target(*arguments)) for arguments in self._calls]
        except wire.WireError as error:
            detail = f"the answer cannot be sent: {error}"
            raise RefusedError(FailureKind.PROTOCOL, detail) from None

    def output(self, index: int) -> Any:
        """See `Batch.output`; as bytes, encoded."""
        return self._answers[index]

    def arguments(self, index: int) -> list[Any]:
        """See `Batch.arguments`."""
        return self._calls[index]


def lay_out(types: Sequence[str], values: Sequence[Any], *, again: bool) -> list[Argument]:
    """Lay out the arguments of one call of a compiled function.

    Args:
        types: as declared, see `core.NativeFunction`.
        values: one for each type; the shape for an `out` array.
        again: keep what `inout` arrays start with, for further runs.

    Returns:
        Arguments with C-contiguous arrays of their own, aligned to 64 bytes.

    Raises:
        ValueError: they do not fit the types.
    """
    laid: list[Argument] = []
    for declared, value in zip(types, values, strict=True):
        if not declared.endswith("[]"):
            passed = SCALARS[declared](value)
            laid.append(Argument(passed, passed.value))
            continue
        words = declared[:-2].split()
        direction = words[0] if words[0] in _DIRECTIONS else ""
        dtype = np.dtype(words[-1])
        start = None
        if direction == "out":
            array = _aligned(value, dtype)
            poison(array)
        else:
            given = np.asarray(value, dtype=dtype)
            array = _aligned(given.shape, dtype)
            np.copyto(array, given)
            if direction and again:
                start = given.copy() if given is value else given
        laid.append(Argument(ctypes.c_void_p(array.ctypes.data), array, direction, start))
    return laid


def answer_of(result: Any, call: Sequence[Argument]) -> Any:
    """What a call answers: its result; with `inout` or `out` arrays, a list of it and of those."""
    changed = [argument.value for argument in call if argument.direction]
    return [result, *changed] if changed else result


def poison(array: np.ndarray[Any, Any]) -> None:
    """Fill with values by which one recognises what a function forgot to write."""
    array.fill(np.nan if array.dtype.kind == "f" else -1)


def _aligned(shape: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size < 0:
        raise ValueError(f"an array cannot have the shape {shape}")
    room = np.empty(size + _ALIGNMENT, dtype=np.uint8)
    begin = -room.ctypes.data % _ALIGNMENT
    return room[begin : begin + size].view(dtype).reshape(shape)
