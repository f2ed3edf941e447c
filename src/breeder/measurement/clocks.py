"""Reading the clocks: work in this process, and how much of the processor a busy program gets."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from breeder.errors import ConfigError
from breeder.measurement.comparison import Spent, Work

SHORTEST_BATCH = 1e-3  # CPU seconds; reading the clocks around a batch then costs under 0.1 %
LONGEST_WAIT = 0.05  # elapsed seconds after which work that mostly waits is taken as it is
PROBE_SECONDS = 0.05  # several time slices of a usual scheduler
CROWDED = 0.8  # share of a core below which wall time says more about others than about the work


def timed(function: Callable[[], object], *, repetitions: int = 1) -> Work:
    """Turn a function of this process into work that can be compared.

    Every run calls it `repetitions` times with the garbage collector off, and says what one call
    used. Until a batch takes a millisecond of CPU time (or, for work that waits, 50 ms) the
    repetitions are doubled; this happens within one run, which a comparison's warm-up absorbs.

    Args:
        function: called without arguments; its result is dropped.
        repetitions: calls per run to begin with.

    Raises:
        ConfigError: `repetitions` is below 1.
    """
    return _work(function, _Repetitions(repetitions))


def timed_pair(
    baseline: Callable[[], object], candidate: Callable[[], object], *, repetitions: int = 1
) -> tuple[Work, Work]:
    """Turn two functions into works that always do equally many calls per run.

    What the first call of a batch costs more than the next ones (cold caches) then weighs the same
    on both sides. With `timed` twice, batches of 8 and 16 calls of one and the same function can
    differ for that reason alone. For functions whose times are within a factor of ten or so: the
    shorter one decides how many calls the longer one does.

    Args:
        baseline: as in `timed`.
        candidate: likewise.
        repetitions: calls per run to begin with; doubled for both when either is too short.

    Raises:
        ConfigError: `repetitions` is below 1.
    """
    shared = _Repetitions(repetitions)
    return _work(baseline, shared), _work(candidate, shared)


def processor_share(threads: int) -> float:
    """Measure what share of `threads` cores a busy program gets now: 1 on a free machine.

    That many threads hash a buffer for a twentieth of a second (hashing releases the interpreter);
    the share is their CPU time over their elapsed time.
    """
    with ThreadPoolExecutor(threads) as pool:
        spent = list(pool.map(lambda _: _hash_for(PROBE_SECONDS), range(threads)))
    return sum(s.cpu_seconds for s in spent) / sum(s.wall_seconds for s in spent)


def _hash_for(seconds: float) -> Spent:
    block = bytes(1 << 18)
    cpu, wall = time.thread_time(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        hashlib.sha256(block)
    return Spent(time.thread_time() - cpu, time.perf_counter() - wall)


class _Repetitions:
    """Calls per run; works that are compared share it."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ConfigError(f"repetitions: {count} is below 1")
        self.count = count


def _work(function: Callable[[], object], repetitions: _Repetitions) -> Work:
    def work() -> Spent:
        while True:
            batch = repetitions.count
            spent = _batch(function, batch)
            if spent.cpu_seconds >= SHORTEST_BATCH or spent.wall_seconds >= LONGEST_WAIT:
                return Spent(spent.cpu_seconds / batch, spent.wall_seconds / batch)
            repetitions.count *= 2

    return work


def _batch(function: Callable[[], object], repetitions: int) -> Spent:
    collecting = gc.isenabled()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(repetitions):
            function()
        return Spent(time.process_time() - cpu, time.perf_counter() - wall)
    finally:
        if collecting:
            gc.enable()
