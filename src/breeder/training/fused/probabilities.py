"""Softmax over the last dimension. Its gradient, out * (grad - sum(out * grad)), is PyTorch's."""

from __future__ import annotations

from typing import Any

from breeder.training.fused.normalisation import matrix
from breeder.training.operation import Operation, kernel_for
from breeder.training.pytorch import torch
from breeder.training.rows import Rows, bucket


def _softmax(x: Any) -> Any:
    columns = int(x.shape[-1])
    kernel = kernel_for("softmax", bucket(x.numel() // max(columns, 1), columns), x)
    if kernel is None:
        return torch.softmax(x, -1).contiguous()
    rows = matrix(x)
    out = torch.empty_like(rows)

    def call(_: int, count: int, x_at: int, out_at: int) -> None:
        kernel.call(x_at, out_at, count, columns)

    Rows([rows], [out]).run(call)
    return out.view(x.shape)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(output)


def _backward(ctx: Any, grad: Any) -> Any:
    (out,) = ctx.saved_tensors
    return torch._softmax_backward_data(grad, out, -1, out.dtype)


softmax = Operation(
    "softmax",
    "(Tensor x) -> Tensor",
    _softmax,
    lambda x: x.new_empty(x.shape),
    save=_save,
    backward=_backward,
)
"""(x) -> probabilities over the last dimension."""
