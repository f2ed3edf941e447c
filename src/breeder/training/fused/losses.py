"""Cross-entropy of rows of logits, its gradient computed along with it.

PyTorch keeps the logarithms of all probabilities for the backward pass and makes the gradient from
them: two arrays of the size of the logits. Here the gradient is all that is made, or, in place,
nothing: the logits become their gradient.
"""

from __future__ import annotations

import ctypes
from typing import Any

from breeder.training.operation import KERNEL_TYPES, Operation, kernel_for
from breeder.training.pytorch import torch
from breeder.training.rows import Rows, bucket

IGNORED = -100
_NEAR_BYTES = 1 << 19  # of rows that are copied and then worked on, still in the second cache


def cross_entropy(
    logits: Any, targets: Any, ignored: int = IGNORED, *, mean: bool = True, in_place: bool = False
) -> Any:
    """Loss of rows of logits; as `torch.nn.functional.cross_entropy`.

    Args:
        logits: (rows, vocabulary), on the CPU or, in float32, on a GPU.
        targets: (rows), int64; rows whose target is `ignored` count for nothing.
        ignored: see `targets`.
        mean: whether the loss is the mean over the rows that count, or a loss for each row.
        in_place: whether the logits may turn into their gradient at once, which spares an array of
            their size. Nobody may read them afterwards; a graph that is compiled leaves them alone.

    Raises:
        IndexError: a target is outside of the vocabulary.
    """
    traced = torch.compiler.is_compiling()
    if in_place and not traced and logits.dtype in KERNEL_TYPES and logits.is_contiguous():
        return _InPlace.apply(logits, targets, ignored, mean)
    return losses_and_gradient(logits, targets, ignored, mean)[0]


def _run(logits: Any, targets: Any, ignored: int, mean: bool) -> tuple[Any, Any]:  # noqa: FBT001
    gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
    return _into(gradient, logits.contiguous(), targets, ignored, mean=mean), gradient


def _into(gradient: Any, logits: Any, targets: Any, ignored: int, *, mean: bool) -> Any:
    """Write the gradient, which may be the logits themselves; return loss or losses."""
    rows, vocabulary = map(int, logits.shape)
    chosen = _checked(targets, vocabulary, ignored)
    count = int((chosen != IGNORED).sum())
    scale = 1.0 / max(count, 1) if mean else 1.0
    losses = logits.new_empty(rows, dtype=torch.promote_types(logits.dtype, torch.float32))
    kernel = kernel_for("cross_entropy", bucket(rows, vocabulary), logits)
    if kernel is None:
        _formula(gradient, losses, logits, chosen, scale)
    elif kernel.source.language == "triton":
        if gradient is not logits:
            gradient.copy_(logits)
        kernel.call(gradient, chosen, losses, rows, vocabulary, scale)
    else:
        near = max(_NEAR_BYTES // (4 * vocabulary), 1)

        def call(_: int, some: int, from_at: int, targets_at: int, to_at: int, out_at: int) -> None:
            for begin in range(0, some, near):
                few, at = min(near, some - begin), 4 * begin * vocabulary
                if from_at != to_at:
                    ctypes.memmove(to_at + at, from_at + at, 4 * few * vocabulary)
                kernel.call(
                    to_at + at, targets_at + 8 * begin, out_at + 4 * begin, few, vocabulary, scale
                )

        Rows([logits, chosen], [gradient, losses]).run(call)
    whole = losses.sum() / count if mean else losses
    return whole.to(logits.dtype)


def _checked(targets: Any, vocabulary: int, ignored: int) -> Any:
    """Targets with IGNORED in place of `ignored`; raises IndexError as PyTorch does."""
    targets = targets.contiguous()
    counted = targets != ignored
    wrong = counted & ((targets < 0) | (targets >= vocabulary))
    if bool(wrong.any()):
        raise IndexError(f"Target {int(targets[wrong][0])} is out of bounds.")
    return torch.where(counted, targets, IGNORED) if ignored != IGNORED else targets


def _formula(gradient: Any, losses: Any, logits: Any, targets: Any, scale: float) -> None:
    counted = targets != IGNORED
    at = torch.where(counted, targets, 0).unsqueeze(1)
    logarithms = torch.log_softmax(logits.to(losses.dtype), -1)
    losses.copy_(torch.where(counted, -logarithms.gather(1, at).squeeze(1), 0.0))
    weights = logarithms.exp_()
    weights.scatter_add_(1, at, torch.full_like(at, -1, dtype=weights.dtype))
    gradient.copy_(weights * (counted.unsqueeze(1) * scale))


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.mean = inputs[3]
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)  # zeros of the size of the logits, for nobody


def _backward(ctx: Any, grad: Any, *_: Any) -> tuple[Any, None, None, None]:
    (gradient,) = ctx.saved_tensors
    scaled = None if grad is None else _scaled(gradient, grad, mean=ctx.mean)
    return scaled, None, None, None


def _scaled(gradient: Any, grad: Any, *, mean: bool) -> Any:
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError(
            "cross-entropy of breeder has no second derivative; undo accelerate for it"
        )
    if not mean:
        return gradient * grad.unsqueeze(1)
    if type(grad) is torch.Tensor and not torch.compiler.is_compiling() and grad.item() == 1.0:
        return gradient
    return gradient * grad


class _InPlace(torch.autograd.Function):  # type: ignore[misc]
    """The logits become their gradient; whatever else kept them for a backward pass notices."""

    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, ignored: int, mean: bool) -> Any:  # noqa: FBT001
        ctx.mean, ctx.gradient = mean, logits.detach()
        loss = _into(ctx.gradient, ctx.gradient, targets, ignored, mean=mean)
        torch.autograd.graph.increment_version(logits)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Any) -> tuple[Any, None, None, None]:
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            raise RuntimeError("cross-entropy in place has one backward pass; leave in_place out")
        if not ctx.mean:
            gradient.mul_(grad.unsqueeze(1))
        elif grad.item() != 1.0:
            gradient.mul_(grad)
        return gradient, None, None, None


losses_and_gradient = Operation(
    "cross_entropy",
    "(Tensor logits, Tensor targets, int ignored, bool mean) -> (Tensor, Tensor)",
    _run,
    lambda logits, targets, ignored, mean: (
        logits.new_empty(() if mean else targets.shape), logits.new_empty(logits.shape)
    ),
    save=_save,
    backward=_backward,
)  # fmt: skip
"""(logits, targets, ignored, mean) -> mean loss, or a loss for each row, and its gradient."""
