"""Attention as PyTorch sees it: a custom operator with gradients, kernels behind it.

An operator computes what PyTorch's own path computes, with whichever of the two is faster in a
bucket of shapes; which one it is never shows in results beyond rounding. Gradients are PyTorch's.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from breeder.measurement import Spent, Work
from breeder.training.pytorch import torch
from breeder.training.registry import KernelRegistry, Key, LoadedKernel

_WIDTHS = (32, 64, 128)
_registry: list[KernelRegistry] = []


def registry() -> KernelRegistry:
    """The registry that the operators ask; the user's own unless `use_registry` gave another."""
    if not _registry:
        _registry.append(KernelRegistry())
    return _registry[-1]


def use_registry(other: KernelRegistry | None) -> None:
    """Have the operators ask another registry, or the user's own again (None)."""
    _registry[:] = [other] if other is not None else []


class Attention(NamedTuple):
    """The arguments of the attention operator."""

    q: Any
    k: Any
    v: Any
    causal: bool
    scale: float

    @property
    def bucket(self) -> str:
        """Word for the shapes that share a choice: mask, width, sizes up to powers of two."""
        batch, heads, rows, width = self.q.shape
        word = next((str(one) for one in _WIDTHS if width <= one), "wide")
        sizes = f"{_power(rows)}x{_power(self.k.shape[2])}-{_power(batch * heads)}"
        return f"{'causal' if self.causal else 'full'}-{word}-{sizes}"


def attend(*arguments: Any) -> tuple[Any, Any]:
    """Attention with the kernel chosen for these shapes, or PyTorch's own."""
    one = Attention(*arguments)
    threads = torch.get_num_threads()
    key = Key("attention_forward", "float32", one.bucket)
    choice = registry().decided(key) or registry().choose(
        key,
        timed(lambda: _torch_attention(one), threads),
        lambda kernel: timed(lambda: _kernel_attention(kernel, one), threads),
        threads,
    )
    if choice.kernel is None:
        return _torch_attention(one)
    return _kernel_attention(choice.kernel, one)


def timed(run: Callable[[], Any], threads: int) -> Work:
    """Work that is one call of `run`; CPU time is this thread's where it uses no others."""
    clock = time.thread_time if threads == 1 else time.process_time

    def work() -> Spent:
        wall, cpu = time.perf_counter(), clock()
        run()
        return Spent(clock() - cpu, time.perf_counter() - wall)

    return work


def _power(count: int) -> int:
    """The power of two that is not below `count`."""
    return 1 << max(count - 1, 0).bit_length()


def _attention_outputs(q: Any) -> tuple[Any, Any]:
    """Empty outputs: rows of one token lie together, as the next layer wants them."""
    batch, heads, rows, width = q.shape
    out = q.new_empty((batch, rows, heads, width)).transpose(1, 2)
    return out, q.new_empty((batch, heads, rows))


def _kernel_attention(kernel: LoadedKernel, one: Attention) -> tuple[Any, Any]:
    q, k = one.q, one.k
    out, logsumexp = _attention_outputs(q)
    batch, heads, rows, width = q.shape
    kv_heads, keys = k.shape[1], k.shape[2]
    tensors = (q, k, one.v, out)
    strides = torch.tensor([step for each in tensors for step in each.stride()[:3]])
    groups = heads // kv_heads

    def run(piece: tuple[int, int, int, int]) -> None:
        """Compute batches from `first` on, `count` of them, and heads of keys likewise."""
        first, count, kv_first, kv_count = piece
        moved = [
            each.data_ptr() + 4 * (first * each.stride(0) + kv_first * share * each.stride(1))
            for each, share in zip(tensors, (groups, 1, 1, groups), strict=True)
        ]
        sums = logsumexp.data_ptr() + 4 * (first * heads + kv_first * groups) * rows
        kernel.call(
            *moved, sums, strides.data_ptr(), count, kv_count * groups, kv_count, rows, keys, width,
            int(one.causal), one.scale,
        )  # fmt: skip

    in_pieces(run, pieces(batch, kv_heads, torch.get_num_threads()))
    return out, logsumexp


def pieces(batch: int, heads: int, threads: int) -> list[tuple[int, int, int, int]]:
    """Split batches, or heads where there are fewer batches, for so many threads.

    Returns:
        (first batch, batches, first head, heads) for each; one batch where heads are split, as the
        sums of several would not lie together.
    """
    if threads == 1 or batch >= threads:
        cuts = [batch * i // threads for i in range(threads + 1)]
        return [(a, b - a, 0, heads) for a, b in itertools.pairwise(cuts) if b > a]
    cuts = [heads * i // threads for i in range(threads + 1)]
    halves = [(a, b - a) for a, b in itertools.pairwise(cuts) if b > a]
    return [(one, 1, *half) for one in range(batch) for half in halves]


def in_pieces(run: Callable[[Any], None], parts: Sequence[Any]) -> None:
    """Run every part, on threads of their own where there are several."""
    if len(parts) <= 1:
        for part in parts:
            run(part)
        return
    list(_threads().map(run, parts))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="breeder-kernel")


def _torch_attention(one: Attention) -> tuple[Any, Any]:
    k, v = _repeated(one.q, one.k), _repeated(one.q, one.v)
    out, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        one.q, k, v, 0.0, one.causal, scale=one.scale
    )
    return out, logsumexp.contiguous()


def _repeated(q: Any, k: Any) -> Any:
    """Keys or values with as many heads as the queries."""
    return k if k.shape[1] == q.shape[1] else k.repeat_interleave(q.shape[1] // k.shape[1], 1)


def _save_attention(ctx: Any, inputs: Any, output: Any) -> None:
    q, k, v, ctx.causal, ctx.scale = inputs
    ctx.save_for_backward(q, k, v, *output)
    ctx.mark_non_differentiable(output[1])


def _attention_backward(ctx: Any, grad_out: Any, _: Any) -> tuple[Any, ...]:
    q, k, v, out, logsumexp = ctx.saved_tensors
    grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        grad_out, q, _repeated(q, k), _repeated(q, v), out, logsumexp, 0.0, ctx.causal,
        scale=ctx.scale,
    )  # fmt: skip
    shared = [
        grad if grad.shape == one.shape else grad.unflatten(1, (k.shape[1], -1)).sum(2)
        for grad, one in zip(grads, (q, k, v), strict=True)
    ]
    return *shared, None, None


attention = torch.library.custom_op(
    "breeder::attention_forward",
    attend,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor q, Tensor k, Tensor v, bool causal, float scale) -> (Tensor, Tensor)",
)
"""(q, k, v, causal, scale) -> out and logsumexp, of float32 tensors (batch, head, row, element)
whose rows are contiguous; heads of queries may share those of keys and values."""
attention.register_fake(lambda q, k, v, causal, scale: _attention_outputs(q))
attention.register_autograd(_attention_backward, setup_context=_save_attention)
