"""RMS normalisation as PyTorch sees it, and what all custom operators with kernels share.

An operator computes what PyTorch's own path computes, with whichever of the two is faster in a
bucket of shapes; which one it is never shows in results beyond rounding. Gradients are PyTorch's.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from breeder.measurement import Spent, Work
from breeder.training.pytorch import torch
from breeder.training.registry import KernelRegistry, Key, LoadedKernel

_registry: list[KernelRegistry] = []


def registry() -> KernelRegistry:
    """The registry that the operators ask; the user's own unless `use_registry` gave another."""
    if not _registry:
        _registry.append(KernelRegistry())
    return _registry[-1]


def use_registry(other: KernelRegistry | None) -> None:
    """Have the operators ask another registry, or the user's own again (None)."""
    _registry[:] = [other] if other is not None else []


def normalise(x: Any, weight: Any, epsilon: float) -> Any:
    """RMS normalisation with the kernel chosen for these shapes, or PyTorch's own."""
    columns = int(x.shape[-1])
    rows = x.numel() // max(columns, 1)
    key = Key("rmsnorm", "float32", f"{power(rows)}x{power(columns)}")
    choice = registry().decided(key) or registry().choose(
        key,
        timed(lambda: _torch_rmsnorm(x, weight, epsilon), torch.get_num_threads()),
        lambda kernel: timed(
            lambda: _kernel_rmsnorm(kernel, x, weight, epsilon), torch.get_num_threads()
        ),
        torch.get_num_threads(),
    )
    if choice.kernel is None:
        return _torch_rmsnorm(x, weight, epsilon)
    return _kernel_rmsnorm(choice.kernel, x, weight, epsilon)


def timed(run: Callable[[], Any], threads: int) -> Work:
    """Work that is one call of `run`; CPU time is this thread's where it uses no others."""
    clock = time.thread_time if threads == 1 else time.process_time

    def work() -> Spent:
        wall, cpu = time.perf_counter(), clock()
        run()
        return Spent(clock() - cpu, time.perf_counter() - wall)

    return work


def power(count: int) -> int:
    """The power of two that is not below `count`."""
    return 1 << max(count - 1, 0).bit_length()


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


def _kernel_rmsnorm(kernel: LoadedKernel, x: Any, weight: Any, epsilon: float) -> Any:
    x, weight = x.contiguous(), weight.contiguous()
    out = torch.empty_like(x)
    columns = int(x.shape[-1])
    rows = x.numel() // columns

    def run(piece: tuple[int, int, int, int]) -> None:
        offset = 4 * piece[0] * columns
        kernel.call(
            x.data_ptr() + offset, weight.data_ptr(), out.data_ptr() + offset, piece[1], columns,
            epsilon,
        )  # fmt: skip

    threads = torch.get_num_threads()
    in_pieces(run, pieces(rows, 1, threads) if rows >= threads else [(0, rows, 0, 1)])
    return out


def _torch_rmsnorm(x: Any, weight: Any, epsilon: float) -> Any:
    return torch.rms_norm(x, (x.shape[-1],), weight, epsilon)


def _save_rmsnorm(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, ctx.epsilon = inputs
    ctx.save_for_backward(x, weight)


def _rmsnorm_backward(ctx: Any, grad: Any) -> tuple[Any, Any, None]:
    """With f = 1 / sqrt(mean(x^2) + e) and g = grad * weight: dx = f g - x f^3 mean(g x)."""
    x, weight = ctx.saved_tensors
    factor = torch.rsqrt(x.square().mean(-1, keepdim=True) + ctx.epsilon)
    normed = x * factor
    weighted = grad * weight
    grad_x = factor * (weighted - normed * (weighted * normed).mean(-1, keepdim=True))
    return grad_x, (grad * normed).flatten(0, -2).sum(0), None


rmsnorm = torch.library.custom_op(
    "breeder::rmsnorm",
    normalise,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor weight, float epsilon) -> Tensor",
)
"""(x, weight, epsilon) -> out, normalised over the last dimension, float32."""
rmsnorm.register_fake(lambda x, weight, epsilon: x.new_empty(x.shape))
rmsnorm.register_autograd(_rmsnorm_backward, setup_context=_save_rmsnorm)
