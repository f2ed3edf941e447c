"""Calls that lie ready in a worker's memory, and the loops that make them under the clock.

The loops hold nothing but the calls. A program gains nothing by changing this module: clock, inputs
and verdict are elsewhere, and all that is timed of compiled functions is in C, see `native_loop`.
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
ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector."""


class Batch(Protocol):
    """Calls of one function."""

    def arm(self) -> None:
        """Make ready for a run, as if there had been none."""
        ...


class Argument(NamedTuple):
    """An argument as it was laid out.

    Attributes:
        passed: what ctypes passes.
        value: the scalar, or the array that the pointer points into.
        direction: `inout`, `out`, or nothing.
    """

    passed: Any
    value: Any
    direction: str = ""


class NativeBatch:
    """Calls of a compiled function on arguments in memory that the evaluator shares.

    The evaluator writes the arguments just before the run and reads what came of them by itself, so
    nothing that happens in this process before or after the run can change an answer.

    Args:
        loop: makes the calls, see `native_loop.source`.
        target: address of the function.
        flush: C's fflush.
        addresses: of each call's arguments in that memory (calls x arguments, uint64).
        memory: all of it (uint8), to keep it mapped.
        returned: offset of returned values in it.
    """

    def __init__(
        self,
        loop: Callable[..., Any],
        target: int,
        flush: Callable[[None], Any],
        addresses: np.ndarray[Any, Any],
        memory: np.ndarray[Any, Any],
        returned: int,
    ) -> None:
        self._loop = loop
        self._flush = flush
        self._addresses = addresses
        self._memory = memory
        numbers = (target, addresses.ctypes.data, len(addresses), memory.ctypes.data + returned)
        self._passed = [ctypes.c_void_p(one) for one in numbers]

    def arm(self) -> None:
        """See `Batch.arm`; the evaluator will write the memory."""
        self._flush(None)  # what C printed in the last run

    def serve(self, channel: int) -> None:
        """Wait for the word, make every call once, in order, and answer.

        Args:
            channel: descriptor of the worker's end of the data socket.
        """
        self._loop(channel, *self._passed)


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
        """Make every call once, in order."""
        target, encode = self._target, wire.encode
        try:
            self._answers = [encode(target(*arguments)) for arguments in self._calls]
        except wire.WireError as error:
            detail = f"the answer cannot be sent: {error}"
            raise RefusedError(FailureKind.PROTOCOL, detail) from None

    def output(self, index: int) -> Any:
        """What call number `index` answered; as bytes, encoded."""
        return self._answers[index]

    def arguments(self, index: int) -> list[Any]:
        """The arguments of call number `index` as they are now."""
        return self._calls[index]


def declared(target: Callable[..., Any], types: Sequence[str]) -> Callable[..., Any]:
    """A Python function that answers like a compiled one of the same signature, see `answer_of`.

    It gets the arrays themselves and writes into those declared `inout` or `out`.

    Args:
        target: the function.
        types: as declared, see `core.NativeFunction`.
    """

    def call(*arguments: Any) -> Any:
        if len(types) != len(arguments):
            raise ValueError(f"{len(types)} arguments are declared, {len(arguments)} given")
        given, written = [], []
        for one, value in zip(types, arguments, strict=True):
            dtype, direction = element_of(one) if one.endswith("[]") else (None, "")
            array = value
            if direction == "out":
                array = np.empty(value, dtype)
                poison(array)
            given.append(array)
            if direction:
                written.append(array)
        result = target(*given)
        return [result, *written] if written else result

    return call


def lay_out(types: Sequence[str], values: Sequence[Any]) -> list[Argument]:
    """Lay out the arguments of one call of a compiled function in this process.

    Args:
        types: as declared, see `core.NativeFunction`.
        values: one for each type; the shape for an `out` array.

    Returns:
        Arguments with C-contiguous arrays of their own, aligned to 64 bytes.

    Raises:
        ValueError: they do not fit the types.
    """
    laid: list[Argument] = []
    for declared, value in zip(types, values, strict=True):
        if declared in SCALARS:
            passed = SCALARS[declared](value)
            laid.append(Argument(passed, passed.value))
            continue
        dtype, direction = element_of(declared)
        if direction == "out":
            array = _aligned(value, dtype)
            poison(array)
        else:
            given = np.asarray(value, dtype=dtype)
            array = _aligned(given.shape, dtype)
            np.copyto(array, given)
        laid.append(Argument(ctypes.c_void_p(array.ctypes.data), array, direction))
    return laid


def element_of(declared: str) -> tuple[np.dtype[Any], str]:
    """The dtype of an array type as declared, and its direction: `inout`, `out` or nothing."""
    *direction, dtype = declared.removesuffix("[]").split()
    return np.dtype(dtype), "".join(direction)


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
    room = np.empty(size + ALIGNMENT, dtype=np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    return room[begin : begin + size].view(dtype).reshape(shape)
