"""Where the arrays of prepared calls of a compiled function lie in the memory they share."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from breeder.evaluation.prepared import ALIGNMENT, SCALARS, element_of, poison

_PAGE = 4096
_LINES = _PAGE // ALIGNMENT


class Place(NamedTuple):
    """An array in memory.

    Attributes:
        dtype: of its elements.
        shape: of the array.
        direction: `inout`, `out`, or nothing.
        start: what it holds before a run; None for poison.
        offset: of its first byte.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    direction: str = ""
    start: np.ndarray[Any, Any] | None = None
    offset: int = 0

    @property
    def bytes(self) -> int:
        """Size of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


class Layout:
    """Prepared calls as the evaluator lays them out; the worker is only told the places.

    Arrays begin at cache lines, at distances that are drawn anew for each layout, of up to a page
    (smaller arrays: up to their own size). How arrays lie to each other decides which of their
    lines and pages get in each other's way, which can be worth more than what is measured
    (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", 2009). There
    is a page of room before the first and behind the last, for functions that read a vector more.

    Args:
        types: of the function's arguments as declared, see `core.NativeFunction`.
        returns: what it returns, or `void`.
        calls: arguments of each call; the shape for an `out` array.

    Attributes:
        calls: of each call the arguments: scalars as the function gets them, and places.
        returned: place of the returned values; None when there are none.
        bytes: size of all, a multiple of a page.

    Raises:
        ValueError: the arguments do not fit the types.
    """

    def __init__(self, types: Sequence[str], returns: str, calls: Sequence[Sequence[Any]]) -> None:
        drawn = [_arguments(types, call) for call in calls]
        arrays = [one for call in drawn for one in call if isinstance(one, Place)]
        # A column of all calls' values for each argument that is a scalar.
        scalars = {
            index: np.array([call[index] for call in drawn], declared)
            for index, declared in enumerate(types)
            if declared in SCALARS
        }
        columns = [Place(one.dtype, one.shape, "", one) for one in scalars.values()]
        if returns != "void":
            columns.append(Place(np.dtype(returns), (len(calls),), "out"))
        self._places, self.bytes = _spread([*arrays, *columns])
        placed = iter(self._places)
        self.calls = [
            [next(placed) if isinstance(one, Place) else one for one in call] for call in drawn
        ]
        self._scalars = {index: next(placed) for index in scalars}
        self.returned = next(placed, None)
        self._types = types

    def image(self) -> np.ndarray[Any, Any]:
        """The memory (uint8) as it is before a run."""
        memory = np.zeros(self.bytes, np.uint8)
        for place in self._places:
            view = memory[place.offset : place.offset + place.bytes].view(place.dtype)
            if place.start is None:
                poison(view)
            else:
                np.copyto(view, place.start.reshape(-1))
        return memory

    def columns(self) -> list[np.ndarray[Any, Any]]:
        """For each argument the offsets of its values in all calls (int64)."""
        columns = []
        for index in range(len(self._types)):
            if index in self._scalars:
                first, step = self._scalars[index].offset, self._scalars[index].dtype.itemsize
                columns.append(first + step * np.arange(len(self.calls), dtype=np.int64))
            else:
                columns.append(np.array([call[index].offset for call in self.calls], np.int64))
        return columns


def _arguments(types: Sequence[str], values: Sequence[Any]) -> list[Any]:
    if len(types) != len(values):
        raise ValueError(f"it takes {len(types)} arguments, {len(values)} given")
    try:
        return [_argument(declared, one) for declared, one in zip(types, values, strict=True)]
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _argument(declared: str, value: Any) -> Any:
    if declared in SCALARS:
        return SCALARS[declared](value).value
    dtype, direction = element_of(declared)
    if direction != "out":
        start = np.asarray(value, dtype=dtype)
        return Place(dtype, start.shape, direction, start)
    lengths = value if isinstance(value, Sequence | np.ndarray) else (value,)
    shape = tuple(operator.index(length) for length in lengths)
    if min(shape, default=0) < 0:
        raise ValueError(f"an array cannot have the shape {shape}")
    return Place(dtype, shape, direction)


def _spread(places: Sequence[Place]) -> tuple[list[Place], int]:
    """Give every place its offset; returns them, and the size of all in bytes."""
    # Each has a line of its own at least, so that no two begin at the same one.
    lines = [max(-(-place.bytes // ALIGNMENT), 1) for place in places]
    most = np.minimum(np.array(lines, np.int64), _LINES - 1)
    gaps = np.random.default_rng().integers(most, endpoint=True)
    placed, end = [], _LINES
    for place, length, gap in zip(places, lines, gaps.tolist(), strict=True):
        placed.append(place._replace(offset=(end + gap) * ALIGNMENT))
        end += gap + length
    return placed, -(-(end * ALIGNMENT + _PAGE) // _PAGE) * _PAGE
