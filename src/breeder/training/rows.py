"""Runs kernels over rows: shared between threads; bfloat16 through float32, block by block."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from breeder.training.operators import in_pieces
from breeder.training.pytorch import torch

ALONE = 1 << 15
"""Elements below which one thread does all, as in PyTorch."""

_STAGED = 1 << 17  # elements of a staged block, which stay in the second cache

Call = Callable[..., None]
"""Called with the number of a part, how many rows it has, and the address of each array there."""


class Rows:
    """Arrays of the same number of rows, and how they are cut into parts.

    Args:
        inputs: contiguous tensors (rows, any width), float32, bfloat16 or integers.
        outputs: likewise; written.

    Attributes:
        parts: how many there are; kernels that sum over rows leave a sum for each.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._inputs, self._outputs = inputs, outputs
        first = inputs[0]
        rows = int(first.shape[0])
        width = max(first.numel() // max(rows, 1), 1)
        threads = torch.get_num_threads() if first.numel() >= ALONE else 1
        self._staged = any(one.dtype == torch.bfloat16 for one in (*inputs, *outputs))
        block = max(_STAGED * threads // width, 1) if self._staged else max(rows, 1)
        self._blocks = [
            cut(begin, min(begin + block, rows), threads) for begin in range(0, max(rows, 1), block)
        ]
        self.parts = sum(map(len, self._blocks))

    def run(self, call: Call) -> None:
        """Call the kernel on every part."""
        part = 0
        for spans in self._blocks:
            numbered = list(zip(itertools.count(part), spans, strict=False))
            part += len(spans)
            if self._staged:
                self._through_float32(call, numbered)
            else:
                self._directly(call, numbered, (*self._inputs, *self._outputs), 0)

    def _directly(
        self, call: Call, spans: list[tuple[int, tuple[int, int]]], arrays: Sequence[Any], base: int
    ) -> None:
        def run(numbered: tuple[int, tuple[int, int]]) -> None:
            part, (begin, end) = numbered
            addresses = [
                one.data_ptr() + (begin - base) * one.stride(0) * one.element_size()
                for one in arrays
            ]
            call(part, end - begin, *addresses)

        in_pieces(run, spans)

    def _through_float32(self, call: Call, spans: list[tuple[int, tuple[int, int]]]) -> None:
        begin, end = spans[0][1][0], spans[-1][1][1]
        inputs = [_widened(one[begin:end]) for one in self._inputs]
        targets = [one[begin:end] for one in self._outputs]
        outputs = [torch.empty_like(one, dtype=_wide(one.dtype)) for one in targets]
        self._directly(call, spans, (*inputs, *outputs), begin)
        for target, output in zip(targets, outputs, strict=True):
            target.copy_(output)


def cut(begin: int, end: int, threads: int) -> list[tuple[int, int]]:
    """Split a range for so many threads; one empty span where it is empty."""
    count = end - begin
    steps = [begin + count * i // threads for i in range(threads + 1)]
    return [(a, b) for a, b in itertools.pairwise(steps) if b > a] or [(begin, end)]


def power(count: int) -> int:
    """The power of two that is not below `count`."""
    return 1 << max(count - 1, 0).bit_length()


def bucket(rows: int, columns: int) -> str:
    """Word for matrices that share a choice: sizes up to powers of two."""
    return f"{power(rows)}x{power(columns)}"


def _wide(dtype: Any) -> Any:
    return torch.float32 if dtype == torch.bfloat16 else dtype


def _widened(tensor: Any) -> Any:
    return tensor.to(_wide(tensor.dtype))
