"""The registry of kernels by operation, type, shape bucket and machine.

A kernel is built, checked and timed when a bucket is first met. Whatever stands against it leaves
PyTorch's own path in place and one line that says why. The machine's processor and compiler are
part of what a library is found by, see `building`.
"""

from __future__ import annotations

import ctypes
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from breeder.errors import UserError
from breeder.kernels.trusted import SCALARS
from breeder.measurement import Comparison, Limits, Settings, Work, compare
from breeder.training import building
from breeder.training.building import BuildError
from breeder.training.checking import fault_of
from breeder.training.sources import KernelSource, sources
from breeder.verification.registry import Registry

_LOG = logging.getLogger("breeder.training")
_TRIAL = Limits(seconds=1.0, pairs=200, min_pairs=9, warm_up=1)


class Key(NamedTuple):
    """What a kernel is looked up by; the bucket is a word such as `causal-64-1024`."""

    op: str
    dtype: str
    bucket: str


@dataclass(frozen=True, slots=True)
class LoadedKernel:
    """A kernel that was checked on this machine.

    Attributes:
        source: where it comes from.
        library: the file that it was loaded from.
        call: the native function: pointers as addresses, scalars as numbers.
    """

    source: KernelSource
    library: Path
    call: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs for a key, and why.

    Attributes:
        kernel: None where PyTorch's own path stays.
        reason: one line.
        comparison: time of PyTorch's path over that of the kernel, where both were timed.
    """

    kernel: LoadedKernel | None
    reason: str
    comparison: Comparison | None = None


class KernelRegistry:
    """Finds, builds, checks and times kernels; safe to use from several threads.

    Args:
        adopted: the registry of adopted champions; the user's own by default.
        folder: where libraries are kept, see `building.cache_folder`.
        timed: whether a kernel must be faster than PyTorch's path on a bucket to be used there.
    """

    def __init__(
        self, adopted: Registry | None = None, folder: Path | None = None, *, timed: bool = True
    ) -> None:
        self._adopted = adopted or Registry.default()
        self._folder = folder or building.cache_folder()
        self._timed = timed
        self._lock = threading.RLock()
        self._loaded: dict[str, tuple[tuple[LoadedKernel, ...], str]] = {}
        self._choices: dict[Key, Choice] = {}

    def choose(
        self, key: Key, rival: Work, work: Callable[[LoadedKernel], Work], threads: int = 1
    ) -> Choice:
        """What to run for `key`; decided at the first call and kept.

        Args:
            key: operation, type and bucket.
            rival: PyTorch's path on inputs of the bucket, for the timing.
            work: the same inputs with a kernel.
            threads: that both use.
        """
        with self._lock:
            if key not in self._choices:
                self._choices[key] = choice = self._decide(key, rival, work, threads)
                tell = _LOG.info if choice.kernel else _LOG.warning
                tell("%s %s %s: %s", *key, choice.reason)
            return self._choices[key]

    def decided(self, key: Key) -> Choice | None:
        """The choice for `key` where one was made."""
        return self._choices.get(key)

    def report(self) -> str:
        """One line for each bucket met so far."""
        with self._lock:
            rows = [f"{' '.join(key)}: {one.reason}" for key, one in sorted(self._choices.items())]
        return "\n".join(rows) or "no kernel was called for"

    def kernels(self, op: str) -> tuple[tuple[LoadedKernel, ...], str]:
        """Kernels for `op` that pass their check here, and why others are missing (or empty).

        Raises:
            KeyError: no such operation.
        """
        with self._lock:
            if op not in self._loaded:
                self._loaded[op] = self._load(op)
            return self._loaded[op]

    def _load(self, op: str) -> tuple[tuple[LoadedKernel, ...], str]:
        found, trouble = sources(op, self._adopted)
        troubles = [trouble] if trouble else []
        try:
            compiler = building.find_compiler()
        except BuildError as error:
            return (), str(error)
        kernels = []
        for source in found:
            try:
                library = building.build(source, compiler, self._folder)
                fault = fault_of(op, library)
                if fault:
                    raise UserError(f"fails its check on this machine: {fault}")
                kernels.append(LoadedKernel(source, library, _function(source, library)))
            except (UserError, OSError) as error:
                troubles.append(f"{source.origin}: {error}")
        if not found:
            troubles.append("no program for it")
        return tuple(kernels), "; ".join(troubles)

    def _decide(
        self, key: Key, rival: Work, work: Callable[[LoadedKernel], Work], threads: int
    ) -> Choice:
        kernels, trouble = self.kernels(key.op)
        kernels = tuple(one for one in kernels if one.source.dtype == key.dtype)
        if not kernels:
            return Choice(None, f"PyTorch's path: {trouble or f'no program for {key.dtype}'}")
        if not self._timed:
            return Choice(kernels[0], f"kernel ({kernels[0].source.origin}), not timed")
        settings = Settings(threads=threads, margin=0.02)
        rng = random.Random(" ".join(key))
        results = [
            (compare(rival, work(one), rng=rng, limits=_TRIAL, settings=settings), one)
            for one in kernels
        ]
        best, kernel = max(results, key=lambda result: result[0].low)
        told = f"{best.ratio:.2f}x [{best.low:.2f}, {best.high:.2f}] as fast as PyTorch"
        # Noise may leave it undecided; then the likelier one runs, and the line shows the interval.
        if best.ratio <= 1.0:
            return Choice(None, f"PyTorch's path: the kernel is {told} here", best)
        return Choice(kernel, f"kernel ({kernel.source.origin}), {told}", best)


def _function(source: KernelSource, library: Path) -> Callable[..., Any]:
    function = getattr(ctypes.CDLL(str(library)), source.function)
    function.argtypes = [
        ctypes.c_void_p if "[]" in one else SCALARS[one] for one in source.signature.arguments
    ]
    function.restype = None
    return function  # type: ignore[no-any-return]
