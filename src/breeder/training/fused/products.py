"""Products of float32 matrices, in the precision that PyTorch is set to.

`torch.set_float32_matmul_precision` documents three: `highest` is float32, `high` takes operands as
sums of two bfloat16 numbers (or rounds them to TensorFloat32), `medium` rounds them to bfloat16.
The kernel takes operands apart into three, two or one bfloat16 numbers, which three hold exactly
(Henry, Tang and Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for
higher-precision computations", 2019), and sums up in float32.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

from breeder import capabilities
from breeder.training.operation import Operation, kernel_for
from breeder.training.operators import in_pieces
from breeder.training.pytorch import torch
from breeder.training.registry import LoadedKernel
from breeder.training.rows import cut, power

PARTS = {"highest": 3, "high": 2, "medium": 1}
"""PyTorch's precision of float32 products -> bfloat16 numbers for an operand."""

_ALONE = 1 << 20  # multiplications below which one thread does all
_BLOCK = 32  # rows or columns that threads do not share
_FLOAT = 4  # bytes


@functools.cache
def has_tiles() -> bool:
    """Whether this processor has the matrix tiles that the kernel is for (AMX)."""
    return "amx_bf16" in capabilities.cpu_flags()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def precision() -> str:
    """What `torch.set_float32_matmul_precision` was given; `highest` where that is not clear.

    A compiled graph keeps what it was when the graph was traced.
    """
    try:
        return str(torch.get_float32_matmul_precision())
    except RuntimeError:  # settings of several interfaces of PyTorch contradict each other
        return "highest"


def bucket_of(x: Any, weight: Any, parts: int) -> str:
    """Word for the layers that share a choice: rows, both sides of the weights, precision."""
    columns, depth = map(int, weight.shape)
    word = next(name for name, count in PARTS.items() if count == parts)
    return f"{power(x.numel() // max(depth, 1))}x{power(depth)}x{power(columns)}-{word}"


def linear(x: Any, weight: Any, bias: Any = None, parts: int | None = None) -> Any:
    """A linear layer; as `torch.nn.functional.linear`.

    Args:
        x: (..., depth), float32.
        weight: (columns, depth).
        bias: (columns), or None.
        parts: bfloat16 numbers for an operand, see `PARTS`; by default as PyTorch is set.
    """
    parts = PARTS[precision()] if parts is None else parts
    bucket = bucket_of(x, weight, parts)
    out = matmul(x.reshape(-1, x.shape[-1]), weight.t(), bias, parts, bucket)
    return out.view(*x.shape[:-1], weight.shape[0])


def _run(a: Any, b: Any, bias: Any, parts: int, bucket: str) -> Any:
    exact = a.dtype == b.dtype == torch.float32
    kernel = kernel_for("matmul", bucket, a) if exact and b.numel() else None
    if kernel is None:
        return a @ b if bias is None else torch.addmm(bias, a, b)
    out = torch.empty((int(a.shape[0]), int(b.shape[1])))
    if bias is not None:
        out.copy_(bias)
    _multiply(kernel, (_stepped(a), _stepped(b), out), parts, add=bias is not None)
    return out


def _stepped(x: Any) -> Any:
    """A matrix whose rows or columns lie together in memory."""
    return x if 1 in x.stride() else x.contiguous()


def _multiply(kernel: LoadedKernel, matrices: Sequence[Any], parts: int, *, add: bool) -> None:
    """C (+)= A B, by rows or columns of C where threads share the work."""
    a, b, c = matrices
    (rows, depth), columns = a.shape, b.shape[1]
    steps = (ctypes.c_int64 * 5)(*a.stride(), *b.stride(), c.stride(0))
    threads = torch.get_num_threads() if rows * columns * depth >= _ALONE else 1

    def run(span: tuple[int, int]) -> None:
        begin, end = span[0] * _BLOCK, min(span[1] * _BLOCK, max(rows, columns))
        if rows >= columns:
            moved, sizes = (begin * a.stride(0), 0, begin * c.stride(0)), (end - begin, columns)
        else:
            moved, sizes = (0, begin * b.stride(1), begin), (rows, end - begin)
        at = [one.data_ptr() + _FLOAT * far for one, far in zip(matrices, moved, strict=True)]
        kernel.call(*at, ctypes.addressof(steps), *sizes, depth, int(add), parts)

    in_pieces(run, cut(0, -(-max(rows, columns) // _BLOCK), threads))


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    a, b, _, *ctx.rest = inputs
    ctx.save_for_backward(a, b)


def _backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
    a, b = ctx.saved_tensors
    of_a, of_b, of_bias = ctx.needs_input_grad[:3]
    grad_a = matmul(grad, b.t(), None, *ctx.rest) if of_a else None
    grad_b = None
    if of_b and b.stride(0) == 1:  # the weights of a layer, and their gradient lies as they do
        grad_b = matmul(grad.t(), a, None, *ctx.rest).t()
    elif of_b:
        grad_b = matmul(a.t(), grad, None, *ctx.rest)
    return grad_a, grad_b, grad.sum(0) if of_bias else None, None, None


matmul = Operation(
    "matmul",
    "(Tensor a, Tensor b, Tensor? bias, int parts, str bucket) -> Tensor",
    _run,
    lambda a, b, bias, parts, bucket: a.new_empty((a.shape[0], b.shape[1])),
    save=_save,
    backward=_backward,
)
"""(a, b, bias, parts, bucket): a (rows, depth), b (depth, columns), bias (columns) or None -> a b +
bias."""
