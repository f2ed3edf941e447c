"""Attention by numpy and by PyTorch, called as the tasks' kernels are, to compare these with.

Each function makes a program for a number format; torch is imported only then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from breeder.kernels.formats import FLOAT32, Format

Rival = Callable[..., None]


def numpy_forward(form: Format) -> Rival:
    """One head after the other, in float32, rounded in the end."""

    def run(q: Any, k: Any, v: Any, out: Any, logsumexp: Any, strides: Any, *sizes: Any) -> None:
        queries, keys, values, target = viewed((q, k, v, out), strides, "qkkq", sizes)
        sums = logsumexp.reshape(-1)[: target[..., 0].size].reshape(target.shape[:3])
        for b, h, g, hidden in _heads(sizes):
            scores = _scores(form, queries[b, h], keys[b, g], hidden, sizes[-1])
            top = scores.max(axis=1, keepdims=True)
            np.exp(scores - top, out=scores)
            total = scores.sum(axis=1, keepdims=True)
            target[b, h] = form.encode((scores @ form.decode(values[b, g])) / total)
            sums[b, h] = (top + np.log(total))[:, 0]

    return run


def numpy_backward(form: Format) -> Rival:
    """One head after the other, in float32, rounded in the end."""

    def run(*arguments: Any) -> None:
        tensors, sums, grads = arguments[:5], arguments[5], arguments[6:9]
        sizes = arguments[10:]
        views = viewed((*tensors, *grads), arguments[9], "qkkqqqkk", sizes)
        q, k, v, out, grad = (form.decode(one) for one in views[:5])
        totals = [np.zeros(one.shape, np.float32) for one in views[5:]]
        sums = sums.reshape(q.shape[:3])
        for b, h, g, hidden in _heads(sizes):
            scores = _scores(FLOAT32, q[b, h], k[b, g], hidden, sizes[-1])
            p = np.exp(scores - sums[b, h][:, None])
            delta = (grad[b, h] * out[b, h]).sum(axis=1, keepdims=True)
            t = p * (grad[b, h] @ v[b, g].T - delta) * np.float32(sizes[-1])
            totals[0][b, h] = t @ k[b, g]
            totals[1][b, g] += t.T @ q[b, h]
            totals[2][b, g] += p.T @ grad[b, h]
        for view, total in zip(views[5:], totals, strict=True):
            view[:] = form.encode(total)

    return run


def torch_forward(form: Format) -> Rival:
    """`scaled_dot_product_attention`, on one thread; its own kernel yields the sums, too."""
    import torch

    torch.set_num_threads(1)

    def run(q: Any, k: Any, v: Any, out: Any, logsumexp: Any, strides: Any, *sizes: Any) -> None:
        views = torch_views((q, k, v, out), strides, "qkkq", sizes, form)
        answer, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            *repeated(views[:3]), 0.0, bool(sizes[6]), scale=float(sizes[7])
        )
        views[3].copy_(answer)
        torch.from_numpy(logsumexp.reshape(-1)[: sums.numel()]).copy_(sums.reshape(-1))

    return run


def torch_backward(form: Format) -> Rival:
    """The gradients of `scaled_dot_product_attention`, on one thread."""
    import torch

    torch.set_num_threads(1)

    def run(*arguments: Any) -> None:
        tensors, grads, sizes = arguments[:5], arguments[6:9], arguments[10:]
        views = torch_views((*tensors, *grads), arguments[9], "qkkqqqkk", sizes, form)
        q, k, v = repeated(views[:3])
        sums = torch.from_numpy(arguments[5]).reshape(q.shape[:3])
        answers = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            views[4], q, k, v, views[3], sums, 0.0,
            bool(sizes[6]), scale=float(sizes[7]),
        )  # fmt: skip
        for view, answer in zip(views[5:], answers, strict=True):
            shared = (
                answer
                if answer.shape == view.shape
                else answer.unflatten(1, (view.shape[1], -1)).sum(2)
            )
            view.copy_(shared)

    return run


def viewed(arrays: Sequence[Any], strides: Any, kinds: str, sizes: Sequence[Any]) -> list[Any]:
    """Tensors of (batch, head, row, element) that lie in flat arrays, queries (q) or keys (k)."""
    views = []
    for n, (array, kind) in enumerate(zip(arrays, kinds, strict=True)):
        steps = [int(step) * array.itemsize for step in strides[3 * n : 3 * n + 3]]
        views.append(
            np.lib.stride_tricks.as_strided(array, _shape(kind, sizes), [*steps, array.itemsize])
        )
    return views


def torch_views(
    arrays: Sequence[Any], strides: Any, kinds: str, sizes: Sequence[Any], form: Format
) -> list[Any]:
    """The same as tensors of PyTorch, without a copy."""
    import torch

    views = []
    for n, (array, kind) in enumerate(zip(arrays, kinds, strict=True)):
        flat = torch.from_numpy(array.reshape(-1))
        if form is not FLOAT32:
            flat = flat.view(torch.bfloat16)
        steps = (*strides[3 * n : 3 * n + 3].tolist(), 1)
        views.append(flat.as_strided(_shape(kind, sizes), steps))
    return views


def repeated(tensors: Sequence[Any]) -> list[Any]:
    """Queries, keys and values of PyTorch, the latter with as many heads as the queries."""
    q, k, v = tensors
    if q.shape[1] == k.shape[1]:
        return [q, k, v]
    return [q, *(one.repeat_interleave(q.shape[1] // k.shape[1], 1) for one in (k, v))]


def _shape(kind: str, sizes: Sequence[Any]) -> tuple[int, ...]:
    batch, heads, kv_heads, queries, keys, width = map(int, sizes[:6])
    return (batch, heads, queries, width) if kind == "q" else (batch, kv_heads, keys, width)


def _heads(sizes: Sequence[Any]) -> list[tuple[int, int, int, Any]]:
    """Batch, head, its head of keys, and which keys are hidden (None where none is)."""
    batch, heads, kv_heads, queries, keys, _, causal, _ = sizes
    hidden = np.arange(keys) > np.arange(queries)[:, None] if causal else None
    return [(b, h, h * kv_heads // heads, hidden) for b in range(batch) for h in range(heads)]


def _scores(form: Format, q: Any, k: Any, hidden: Any, scale: float) -> Any:
    scores = (form.decode(q) * np.float32(scale)) @ form.decode(k).T
    if hidden is not None:
        scores[hidden] = -np.inf
    return scores
