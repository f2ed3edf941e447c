"""Where the time of a step goes, and what no program could do without."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BYTES = 4  # of an element; profiles do not tell types
_SIDE = 768  # of the matrices whose product tells the rate
_COPIED = 1 << 26  # bytes


@dataclass(frozen=True, slots=True)
class Rates:
    """What this machine can do with the threads at hand.

    Attributes:
        bytes: per second, read or written.
        flops: per second, of float32 matrix products.
    """

    bytes: float
    flops: float


@dataclass(frozen=True, slots=True)
class Row:
    """An operator on some shapes.

    Attributes:
        op, shapes: as PyTorch names them.
        calls: per step.
        seconds: per step, without those of operators that it calls.
        bytes, flops: per step, at least; of arrays of 4-byte elements.
    """

    op: str
    shapes: tuple[tuple[int, ...], ...]
    calls: float
    seconds: float
    bytes: float
    flops: float

    def floor(self, rates: Rates) -> float:
        """Seconds per step below which no program for it can be."""
        return max(self.bytes / rates.bytes, self.flops / rates.flops)


def rows_of(profile: Sequence[Mapping[str, Any]], steps: int) -> list[Row]:
    """The rows of a profile over so many steps, the longest first."""
    rows = []
    for one in profile:
        shapes = tuple(tuple(shape) for shape in one["shapes"] if shape)
        moved = _BYTES * _least_elements(one["op"], shapes) * one["calls"]
        rows.append(
            Row(one["op"], shapes, one["calls"] / steps, one["seconds"] / steps, moved / steps,
                one["flops"] / steps)
        )  # fmt: skip
    return sorted(rows, key=lambda row: -row.seconds)


def measured_rates(threads: int) -> Rates:
    """Copying and multiplying on this machine, the best of a few times.

    Raises:
        UserError: torch is missing.
    """
    from breeder.training.pytorch import torch

    torch.set_num_threads(threads)
    source = torch.ones(_COPIED // _BYTES)
    target = torch.zeros_like(source)
    a = torch.randn(_SIDE, _SIDE)
    copied = _best(lambda: target.copy_(source))
    multiplied = _best(lambda: a @ a)
    return Rates(2 * _COPIED / copied, 2.0 * _SIDE**3 / multiplied)


def _best(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def _least_elements(op: str, shapes: Sequence[tuple[int, ...]]) -> int:
    """Elements that an operator must read and write; views and bookkeeping need none."""
    sizes = [math.prod(shape) for shape in shapes]
    if not sizes or op.rpartition("::")[2] in _FREE:
        return 0
    matrices = [shape for shape in shapes if len(shape) >= 2]
    if op.rpartition("::")[2] in _PRODUCTS and len(matrices) >= 2:
        a, b = matrices[-2:]
        return sum(sizes) + math.prod(a[:-1]) * b[-1]
    return sum(sizes) + max(sizes)


_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")
_FREE = ("view", "as_strided", "detach", "empty", "reshape", "transpose", "t", "expand", "slice",
         "select", "unsqueeze", "squeeze", "permute", "alias", "empty_strided", "empty_like",
         "_unsafe_view", "result_type", "resolve_conj", "resolve_neg", "lift_fresh")  # fmt: skip
