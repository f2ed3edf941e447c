"""Rotary position embedding (Su and others, "RoFormer", 2021), with halves that turn together.

out = x * cosines + rotated(x) * sines, rotated(x) being (-second half, first half) of a head.
Angles of half a head's width count for both halves.
"""

from __future__ import annotations

from typing import Any

from breeder.training.operation import Operation, kernel_for
from breeder.training.operators import in_pieces
from breeder.training.pytorch import torch
from breeder.training.rows import ALONE, cut, power


def _rope(x: Any, cosines: Any, sines: Any) -> Any:
    """Turn x (batch, tokens, heads, width) by angles (tokens, width or half of it)."""
    batch, tokens, heads, width = map(int, x.shape)
    kernel = kernel_for("rope", bucket_of(x), x)
    if kernel is None or x.dtype != torch.float32 or width % 2:
        return formula(x, cosines, sines).contiguous()
    x = x.contiguous()
    cosines, sines = (_wide(one, width).contiguous() for one in (cosines, sines))
    out = torch.empty_like(x)

    def run(piece: tuple[int, int, int, int]) -> None:
        row, rows, token, length = piece
        at, angle = 4 * (row * tokens + token) * heads * width, 4 * token * width
        kernel.call(
            x.data_ptr() + at, cosines.data_ptr() + angle, sines.data_ptr() + angle,
            out.data_ptr() + at, rows, length, heads, width // 2,
        )  # fmt: skip

    threads = torch.get_num_threads() if x.numel() >= ALONE else 1
    in_pieces(run, _pieces(batch, tokens, threads))
    return out


def _pieces(batch: int, tokens: int, threads: int) -> list[tuple[int, int, int, int]]:
    """Whole batches, or tokens of each where they do not share out: first and count of both."""
    if batch % threads == 0:
        return [(a, b - a, 0, tokens) for a, b in cut(0, batch, threads)]
    return [(row, 1, a, b - a) for row in range(batch) for a, b in cut(0, tokens, threads)]


def bucket_of(x: Any) -> str:
    """Word for the shapes that share a choice."""
    return f"{power(x.numel() // max(int(x.shape[-1]), 1))}x{power(int(x.shape[-1]))}"


def _wide(angles: Any, width: int) -> Any:
    """Angles for both halves of a head."""
    return angles if angles.shape[-1] == width else torch.cat((angles, angles), -1)


def _exchanged(x: Any) -> Any:
    """The halves of the last dimension exchanged."""
    first, second = x.chunk(2, -1)
    return torch.cat((second, first), -1)


def formula(x: Any, cosines: Any, sines: Any) -> Any:
    """Turn x (batch, tokens, heads, width) by angles of each token, with PyTorch alone."""
    cosines, sines = (_wide(one, x.shape[-1])[:, None] for one in (cosines, sines))
    first, second = x.chunk(2, -1)
    turned = torch.cat((-second, first), -1)
    return x * cosines + turned * sines


def _rope_backward(grad: Any, cosines: Any, sines: Any) -> Any:
    """The transpose, which turns the other way: by what the other half was turned by."""
    if sines.shape[-1] == grad.shape[-1]:
        sines = _exchanged(sines)
    if torch.is_grad_enabled():
        return formula(grad, cosines, -sines)
    return _rope(grad, cosines, -sines)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[1:])


def _backward(ctx: Any, grad: Any) -> tuple[Any, None, None]:
    transposed = _rope_backward if torch.is_grad_enabled() else rope_backward
    return transposed(grad, *ctx.saved_tensors), None, None


rope_backward = Operation(
    "rope_backward",
    "(Tensor grad, Tensor cosines, Tensor sines) -> Tensor",
    _rope_backward,
    lambda grad, cosines, sines: grad.new_empty(grad.shape),
)
"""(grad, cosines, sines) -> gradient of x."""

rope = Operation(
    "rope",
    "(Tensor x, Tensor cosines, Tensor sines) -> Tensor",
    _rope,
    lambda x, cosines, sines: x.new_empty(x.shape),
    save=_save,
    backward=_backward,
)
"""(x, cosines, sines): x (batch, tokens, heads, width), angles (tokens, width or half of it), which
get no gradients -> out like x."""
