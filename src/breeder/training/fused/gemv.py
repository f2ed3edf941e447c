"""Products of quantised weights and a vector, as in decoding one token. They have no gradients."""

from __future__ import annotations

from typing import Any

from breeder.training.operation import Operation, kernel_for
from breeder.training.pytorch import torch
from breeder.training.rows import Rows, bucket

GROUP = 32
"""Columns with a common scale, of 4-bit weights."""


def _int8_gemv(weight: Any, scales: Any, x: Any) -> Any:
    rows, columns = map(int, weight.shape)
    kernel = kernel_for("int8_gemv", bucket(rows, columns), x)
    if kernel is None:
        return (weight.to(x.dtype) @ x.reshape(-1)) * scales
    return _product(kernel, weight, scales, x, columns)


def _int4_gemv(weight: Any, scales: Any, x: Any) -> Any:
    rows, columns = int(weight.shape[0]), 2 * int(weight.shape[1])
    if columns % GROUP:
        raise ValueError(f"int4_gemv: {columns} columns are no multiple of {GROUP}")
    kernel = kernel_for("int4_gemv", bucket(rows, columns), x)
    if kernel is None:
        numbers = torch.stack((weight & 15, weight >> 4), -1).reshape(rows, -1, GROUP).to(x.dtype)
        return ((numbers - 8) * scales[..., None]).reshape(rows, columns) @ x.reshape(-1)
    return _product(kernel, weight, scales, x, columns)


def _product(kernel: Any, weight: Any, scales: Any, x: Any, columns: int) -> Any:
    rows, vector = int(weight.shape[0]), x.reshape(-1).float().contiguous()
    out, vector_at = torch.empty(rows), vector.data_ptr()

    def call(_: int, count: int, weight_at: int, scales_at: int, out_at: int) -> None:
        kernel.call(weight_at, scales_at, vector_at, out_at, count, columns)

    Rows([weight.contiguous(), scales.float().contiguous()], [out]).run(call)
    return out.to(x.dtype)


int8_gemv = Operation(
    "int8_gemv",
    "(Tensor weight, Tensor scales, Tensor x) -> Tensor",
    _int8_gemv,
    lambda weight, scales, x: x.new_empty(weight.shape[:1]),
)
"""(weight, scales, x): int8 (rows, columns), float (rows), float (columns) -> float (rows)."""

int4_gemv = Operation(
    "int4_gemv",
    "(Tensor weight, Tensor scales, Tensor x) -> Tensor",
    _int4_gemv,
    lambda weight, scales, x: x.new_empty(weight.shape[:1]),
)
"""(weight, scales, x): uint8 (rows, columns / 2), float (rows, columns / 32), float (columns) ->
float (rows). A byte holds two numbers from 0 to 15, that of the even column in its low half; 8
stands for zero."""
