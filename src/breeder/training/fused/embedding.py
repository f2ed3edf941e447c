"""Embedding, whose backward pass adds the gradients of each token's occurrences."""

from __future__ import annotations

from typing import Any

from breeder.training.operation import Operation, kernel_for
from breeder.training.operators import in_pieces
from breeder.training.pytorch import torch
from breeder.training.rows import ALONE, bucket, cut

NONE = -1
"""In place of a padding token."""

_FLOAT = 4  # bytes


def _embedding_backward(grad: Any, tokens: Any, vocabulary: int, padding: int) -> Any:
    columns = int(grad.shape[-1])
    kernel = kernel_for("embedding_backward", bucket(tokens.numel(), columns), grad)
    if kernel is None:
        return torch.ops.aten.embedding_dense_backward(grad, tokens, vocabulary, padding, False)
    above = grad.reshape(-1, columns).float().contiguous()
    flat = tokens.reshape(-1).contiguous()
    table = torch.empty((vocabulary, columns))
    threads = torch.get_num_threads() if table.numel() + above.numel() >= ALONE else 1

    def run(span: tuple[int, int]) -> None:
        """A part of the table, to which tokens of other parts do not count."""
        begin, end = span
        tokens = flat - begin if begin else flat
        at = table.data_ptr() + _FLOAT * begin * columns
        kernel.call(above.data_ptr(), tokens.data_ptr(), at, flat.numel(), end - begin, columns)

    in_pieces(run, cut(0, vocabulary, threads))
    if padding != NONE:
        table[padding].zero_()
    return table.to(grad.dtype)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    weight, tokens, ctx.padding = inputs
    ctx.vocabulary = weight.shape[0]
    ctx.save_for_backward(tokens)


def _backward(ctx: Any, grad: Any) -> tuple[Any, None, None]:
    (tokens,) = ctx.saved_tensors
    backward = torch.ops.aten.embedding_dense_backward if torch.is_grad_enabled() else None
    if backward is not None:
        return backward(grad, tokens, ctx.vocabulary, ctx.padding, False), None, None
    return embedding_backward(grad, tokens, ctx.vocabulary, ctx.padding), None, None


embedding_backward = Operation(
    "embedding_backward",
    "(Tensor grad, Tensor tokens, SymInt vocabulary, SymInt padding) -> Tensor",
    _embedding_backward,
    lambda grad, tokens, vocabulary, padding: grad.new_empty((vocabulary, grad.shape[-1])),
)
"""(grad, tokens, vocabulary, padding) -> gradient of the table."""

embedding = Operation(
    "embedding",
    "(Tensor weight, Tensor tokens, SymInt padding) -> Tensor",
    lambda weight, tokens, padding: torch.embedding(weight, tokens),
    lambda weight, tokens, padding: weight.new_empty((*tokens.shape, weight.shape[1])),
    save=_save,
    backward=_backward,
)
"""(weight, tokens, padding) -> rows of weight for int64 tokens; row `padding` gets no gradient."""
