"""What all operators with kernels share: the registry they ask, timing, and pieces for threads.

An operator computes what PyTorch's own path computes, with whichever of the two is faster in a
bucket of shapes; which one it is never shows in results beyond rounding.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
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
    """Run every part, each on a thread of its own where there are several.

    These are PyTorch's own OpenMP threads where they can be reached: after each of its operations
    they go on spinning for a while, beside which other threads would run at half speed.
    """
    if len(parts) <= 1:
        for part in parts:
            run(part)
        return
    parallel = _openmp()
    if parallel is None:
        list(_threads().map(run, parts))
        return
    left, failures = iter(parts), list[BaseException]()

    def work(_: object) -> None:
        # There may be fewer threads than parts, as where this runs within a parallel region. An
        # iterator of a sequence gives each part to one thread only: the interpreter lock holds.
        try:
            for part in left:
                run(part)
        except BaseException as error:  # which could not leave a function that C calls
            failures.append(error)

    parallel(_REGION(work), None, len(parts), 0)
    if failures:
        raise failures[0]


_REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@functools.cache
def _openmp() -> Callable[..., None] | None:
    """`GOMP_parallel` of the OpenMP library that PyTorch brings and has loaded, or None."""
    found = find_spec("torch")
    places = (found and found.submodule_search_locations) or ()
    for path in (file for at in places for file in sorted(Path(at, "lib").glob("libgomp*.so*"))):
        try:
            function = ctypes.CDLL(str(path)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        function.restype = None
        function.argtypes = (_REGION, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        return function
    return None


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="breeder-kernel")
