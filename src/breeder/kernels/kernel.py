"""What is tried: a native function, its arguments, and what they must turn into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from breeder.kernels.inputs import Inputs
from breeder.kernels.tolerance import Expected, disagreement

Array = np.ndarray[Any, Any]
Shape = TypeVar("Shape")

GUARD = 16
"""Elements behind the end of every array that a kernel writes; it must leave them alone."""


class Output(NamedTuple):
    """An array that the kernel must fill; declare it `inout` in task.toml."""

    shape: tuple[int, ...]
    dtype: DTypeLike = np.float32


class Updated(NamedTuple):
    """An array that the kernel reads and changes in place; declare it `inout` in task.toml."""

    array: Array


Argument = int | float | Array | Output | Updated


@dataclass(frozen=True, slots=True)
class Kernel(Generic[Shape]):
    """A native function under trial.

    Attributes:
        function: its name.
        draw: makes the arguments of one call for a shape, in the function's order.
        reference: what the arrays written must hold, in their order, computed in float64 from
            those arguments (as drawn: an `Updated` still holds its old values).
    """

    function: str
    draw: Callable[[Inputs, Shape], Sequence[Argument]]
    reference: Callable[[Shape, Sequence[Argument]], Sequence[Expected]]


class Call(Generic[Shape]):
    """One call of a kernel: fresh inputs, poisoned outputs with canaries behind their end.

    Args:
        kernel: the function and its reference.
        shape: what to draw inputs for.
        inputs: where to draw them from.

    Attributes:
        arguments: what is sent, scalars and arrays.
    """

    def __init__(self, kernel: Kernel[Shape], shape: Shape, inputs: Inputs) -> None:
        self._kernel, self._shape = kernel, shape
        self._drawn = tuple(kernel.draw(inputs, shape))
        self.arguments = [_sent(one, inputs) for one in self._drawn]

    @property
    def bytes(self) -> int:
        """Size of all arrays."""
        return sum(one.nbytes for one in self.arguments if isinstance(one, np.ndarray))

    def fault(self, answer: Any, arguments: Sequence[Any]) -> str:
        """Say what is wrong with what the call left behind; empty when all is as it must be.

        Args:
            answer: as of `Batch.output`: the returned value and the arrays written.
            arguments: as of `Batch.arguments`.
        """
        touched = self._touched_input(arguments)
        if touched:
            return touched
        written = [i for i, one in enumerate(self._drawn) if isinstance(one, Output | Updated)]
        arrays = answer[1:] if isinstance(answer, list) else []
        if len(arrays) != len(written):
            return f"{len(arrays)} arrays came back instead of {len(written)}"
        expected = self._kernel.reference(self._shape, self._drawn)
        for position, array, one in zip(written, arrays, expected, strict=True):
            sent = self.arguments[position]
            text = _overrun(array, sent, one.name) or disagreement(array[:-GUARD], one)
            if text:
                return text
        return ""

    def _touched_input(self, arguments: Sequence[Any]) -> str:
        for position, (drawn, now) in enumerate(zip(self._drawn, arguments, strict=True)):
            if isinstance(drawn, np.ndarray) and drawn.tobytes() != np.asarray(now).tobytes():
                return f"argument {position + 1} is an input, but was written to"
        return ""


def _sent(argument: Argument, inputs: Inputs) -> Any:
    """Return the scalar or array that is passed for an argument."""
    if isinstance(argument, Output):
        count = int(np.prod(argument.shape))
        return np.concatenate([_poison(count, np.dtype(argument.dtype)), _guard(argument, inputs)])
    if isinstance(argument, Updated):
        return np.concatenate([argument.array.ravel(), _guard(argument, inputs)])
    return argument


def _poison(count: int, dtype: np.dtype[Any]) -> Array:
    # Minus one is all ones, also unsigned; as the bits of a bfloat16 that is not a number.
    return np.full(count, np.nan if dtype.kind == "f" else -1).astype(dtype)


def _guard(argument: Output | Updated, inputs: Inputs) -> Array:
    dtype = np.dtype(argument.dtype if isinstance(argument, Output) else argument.array.dtype)
    return (inputs.rng.random(GUARD) * 100 + 1).astype(dtype)


def _overrun(array: Array, sent: Array, name: str) -> str:
    if array.shape != sent.shape or array.dtype != sent.dtype:
        return f"{name} came back as another kind of array"
    if array[-GUARD:].tobytes() != sent[-GUARD:].tobytes():
        return f"it writes beyond the end of {name}"
    return ""
