"""What all operators with kernels share: the registry they ask, timing, and pieces for threads.

An operator computes what PyTorch's own path computes, with whichever of the two is faster in a
bucket of shapes; which one it is never shows in results beyond rounding.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from breeder.measurement import Spent, Work
from breeder.training.registry import KernelRegistry

_registry: list[KernelRegistry] = []


def registry() -> KernelRegistry:
    """The registry that the operators ask; the user's own unless `use_registry` gave another."""
    if not _registry:
        _registry.append(KernelRegistry())
    return _registry[-1]


def use_registry(other: KernelRegistry | None) -> None:
    """Have the operators ask another registry, or the user's own again (None)."""
    _registry[:] = [other] if other is not None else []


def timed(run: Callable[[], Any], threads: int, wait: Callable[[], Any] | None = None) -> Work:
    """Work that is one call of `run`; CPU time is this thread's where it uses no others.

    Args:
        run: the call.
        threads: that it uses.
        wait: returns when a GPU has done what it was given; None where none is used.
    """
    clock = time.thread_time if threads == 1 else time.process_time

    def work() -> Spent:
        if wait is not None:
            wait()
        wall, cpu = time.perf_counter(), clock()
        run()
        if wait is not None:
            wait()
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
