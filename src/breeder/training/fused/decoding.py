"""Linear layers of a few rows in bfloat16, as in decoding. They have no gradients.

Such a product reads all weights for little arithmetic, so the way that they are read decides. Sums
are of float32, rounded once to bfloat16.
"""

from __future__ import annotations

import ctypes
from typing import Any

from breeder.training.operation import Operation, kernel_for
from breeder.training.operators import in_pieces
from breeder.training.pytorch import torch
from breeder.training.rows import ALONE, cut, power

MOST_ROWS = 16
"""Rows that one matrix tile holds: with more, a layer is no longer bound by reading its weights."""

_BYTES = 2
_BLOCK = 16  # rows of weights that threads do not share


def bucket_of(x: Any, weight: Any) -> str:
    """Word for the layers that share a choice: rows, both sides of the weights."""
    depth = max(int(x.shape[-1]), 1) if x.ndim else 1
    columns = int(weight.shape[0]) if weight.ndim else 1
    return f"{power(x.numel() // depth)}x{power(depth)}x{power(columns)}"


def _few_rows(x: Any, weight: Any) -> Any:
    kernel = kernel_for("matmul_bf16", bucket_of(x, weight), x)
    if kernel is None or x.dtype != torch.bfloat16 or weight.dtype != torch.bfloat16:
        return torch.nn.functional.linear(x, weight)
    columns, depth = map(int, weight.shape)
    weight = weight if weight.stride(1) == 1 else weight.contiguous()
    a = x.reshape(-1, depth).contiguous()
    rows, step = int(a.shape[0]), int(weight.stride(0))
    out = torch.empty((rows, columns), dtype=x.dtype)
    steps = (ctypes.c_int64 * 5)(depth, 1, 1, step, columns)

    def run(span: tuple[int, int]) -> None:
        begin, end = span[0] * _BLOCK, min(span[1] * _BLOCK, columns)
        weights, results = weight.data_ptr() + _BYTES * begin * step, out.data_ptr()
        kernel.call(
            a.data_ptr(), weights, results + _BYTES * begin, ctypes.addressof(steps), rows,
            end - begin, depth,
        )  # fmt: skip

    threads = torch.get_num_threads() if weight.numel() >= ALONE else 1
    in_pieces(run, cut(0, -(-columns // _BLOCK), threads))
    return out.view(*x.shape[:-1], columns)


few_rows = Operation(
    "matmul_bf16",
    "(Tensor x, Tensor weight) -> Tensor",
    _few_rows,
    lambda x, weight: x.new_empty((*x.shape[:-1], weight.shape[0])),
)
"""(x, weight): bfloat16 (..., depth), (columns, depth) -> x weight^T, (..., columns)."""
