"""Four kinds of work to measure a machine with, each with a twin that does a known amount more.

A workload is `BLOCKS` equal blocks, about a millisecond in all. A slower twin runs more of the same
blocks on the same buffers, so the true ratio of two workloads is the ratio of their block counts.
What a call costs besides its blocks (reading two clocks, entering a function, and for threads
handing over the work) dilutes a difference by its share of a batch.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import numpy as np

from breeder.measurement.comparison import Spent, Work

BLOCKS = 100
THREADS = 2
STREAM_MIB = 64  # twice the last-level cache of common machines, so that it seldom helps

_Blocks = Callable[[int], None]  # runs so many blocks


class Kind(StrEnum):
    """What bounds the speed of a workload."""

    CACHE = "cache-resident"
    MEMORY = "memory-bound"
    THREADS = "multi-threaded"
    PYTHON = "python"

    @property
    def threads(self) -> int:
        """Number of threads that work at the same time."""
        return THREADS if self is Kind.THREADS else 1


def pair(kind: Kind, slowdown: float = 0.0) -> tuple[Work, Work]:
    """Two works on the same code and buffers; the second does `1 + slowdown` times the blocks.

    Args:
        kind: what bounds their speed.
        slowdown: a multiple of 1 / `BLOCKS` from 0 to 1, such as 0.02.

    Raises:
        ValueError: `slowdown` is out of range or no whole number of blocks.
    """
    more = round(slowdown * BLOCKS)
    if not 0 <= slowdown <= 1 or abs(more - slowdown * BLOCKS) > 1e-9:
        raise ValueError(f"slowdown {slowdown} is no multiple of {1 / BLOCKS} from 0 to 1")
    run = _MAKERS[kind]()
    # Threads of its own are counted by no thread's clock but the process's.
    clock = time.process_time if kind.threads > 1 else time.thread_time
    return _work(run, BLOCKS, clock), _work(run, BLOCKS + more, clock)


def twins(kind: Kind) -> tuple[Work, Work]:
    """The same work twice: a comparison of the two must find no difference."""
    return pair(kind)


def _work(run: _Blocks, blocks: int, cpu_clock: Callable[[], float]) -> Work:
    def once() -> Spent:
        wall, cpu = time.perf_counter(), cpu_clock()
        run(blocks)
        return Spent(cpu_clock() - cpu, time.perf_counter() - wall)

    return once


def _cache_resident() -> _Blocks:
    left = np.linspace(1.0, 2.0, 16384, dtype=np.float32)  # 64 KiB each: second level
    right, out = left[::-1].copy(), np.empty_like(left)

    def run(blocks: int) -> None:
        for _ in range(blocks):
            np.multiply(left, right, out=out)
            np.sqrt(out, out=out)
            np.divide(out, right, out=out)

    return run


def _memory_bound() -> _Blocks:
    block = 16384  # float64: 128 KiB, copied from main memory into a buffer that stays in cache
    stream = np.ones((STREAM_MIB * 2**20 // (8 * block), block))
    out = np.empty(block)
    position = 0

    def run(blocks: int) -> None:
        nonlocal position
        for _ in range(blocks):
            np.copyto(out, stream[position])
            position = (position + 1) % len(stream)

    return run


def _multi_threaded() -> _Blocks:
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="workload")

    def part(blocks: int) -> None:
        # One call for all blocks: it gives the GIL up once and needs no memory.
        hashlib.pbkdf2_hmac("sha256", b"breeder", b"measures", 40 * blocks)

    def run(blocks: int) -> None:
        for done in [pool.submit(part, blocks) for _ in range(THREADS)]:
            done.result()

    return run


def _python() -> _Blocks:
    def block() -> int:
        total = 0
        for number in range(300):
            total += (number * number) % 7
        return total

    def run(blocks: int) -> None:
        for _ in range(blocks):
            block()

    return run


_MAKERS: dict[Kind, Callable[[], _Blocks]] = {
    Kind.CACHE: _cache_resident,
    Kind.MEMORY: _memory_bound,
    Kind.THREADS: _multi_threaded,
    Kind.PYTHON: _python,
}
