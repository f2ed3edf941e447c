"""The registry of kernels by operation, type, shape bucket and machine.

A kernel is built, checked and timed when a bucket is first met. Whatever stands against it leaves
PyTorch's own path in place and one line that says why. The machine's processor and compiler are
part of what a library is found by, see `building`; a GPU's compute capability, see `devices`.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from breeder.errors import UserError
from breeder.kernels.trusted import SCALARS
from breeder.measurement import Comparison, Limits, Settings, Work, compare
from breeder.training import building, devices
from breeder.training.building import BuildError
from breeder.training.checking import fault_of
from breeder.training.devices import CPU
from breeder.training.sources import KernelSource, Language, sources
from breeder.verification.registry import Registry

_LOG = logging.getLogger("breeder.training")
_TRIAL = Limits(seconds=1.0, pairs=200, min_pairs=9, warm_up=1)


class Key(NamedTuple):
    """What a kernel is looked up by; the bucket is a word such as `causal-64-1024`.

    `device` is one of `devices.device_of`.
    """

    op: str
    dtype: str
    bucket: str
    device: str = CPU

    def __str__(self) -> str:
        return " ".join(self[:3] if self.device == CPU else self)


@dataclass(frozen=True, slots=True)
class LoadedKernel:
    """A kernel that was checked on this machine.

    Attributes:
        source: where it comes from.
        library: the file that it was loaded from.
        functions: the functions by name. They take scalars as numbers and, where native, pointers
            as addresses; those in Triton take tensors.
    """

    source: KernelSource
    library: Path
    functions: Mapping[str, Callable[..., Any]]

    @property
    def call(self) -> Callable[..., Any]:
        """The first function, which is the only one of most operations."""
        return next(iter(self.functions.values()))


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs for a key, and why.

    Attributes:
        kernels: one for each operation that was asked for; none where PyTorch's own path stays.
        reason: one line.
        comparison: time of PyTorch's path over that of the kernels, where both were timed.
    """

    kernels: tuple[LoadedKernel, ...]
    reason: str
    comparison: Comparison | None = None

    @property
    def kernel(self) -> LoadedKernel | None:
        """The first of them, or None."""
        return self.kernels[0] if self.kernels else None


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
        self._loaded: dict[tuple[str, Language], tuple[tuple[LoadedKernel, ...], str]] = {}
        self._choices: dict[Key, Choice] = {}
        self._best: dict[tuple[str, str, str], LoadedKernel] = {}
        self._evolved: dict[str, bool] = {}
        self._trial = threading.local()

    def choose(
        self, key: Key, rival: Work, work: Callable[[LoadedKernel], Work], threads: int = 1
    ) -> Choice:
        """What to run for `key`, whose operation is that of one task.

        Args:
            key: operation, type and bucket.
            rival: PyTorch's path on inputs of the bucket, for the timing.
            work: the same inputs with a kernel.
            threads: that both use.
        """
        return self.choose_all(
            key, {key.op: key.dtype}, rival, lambda kernels: work(kernels[0]), threads
        )

    def choose_all(
        self,
        key: Key,
        needed: Mapping[str, str],
        rival: Work,
        work: Callable[[tuple[LoadedKernel, ...]], Work],
        threads: int = 1,
    ) -> Choice:
        """What to run for `key`, all kernels or none; decided at the first call and kept.

        Args:
            key: operation, type and bucket.
            needed: operation -> type of its arrays, of the kernels that the work takes together.
            rival: PyTorch's path on inputs of the bucket, for the timing.
            work: the same inputs with kernels, one for each that is needed.
            threads: that both use.
        """
        with self._lock:
            if key not in self._choices:
                self._choices[key] = choice = self._decide(key, needed, rival, work, threads)
                for kernel in choice.kernels:
                    self._best.setdefault((kernel.source.op, key.bucket, key.device), kernel)
                tell = _LOG.info if choice.kernels else _LOG.warning
                tell("%s: %s", key, choice.reason)
            return self._choices[key]

    def kernel_for(self, op: str, bucket: str, device: str = CPU) -> LoadedKernel | None:
        """The kernel of one task to run on a bucket: chosen before, else the preferred one.

        None where there is none that passes its check here.
        """
        on_trial: Mapping[str, LoadedKernel] = getattr(self._trial, "kernels", {})
        chosen = on_trial.get(op) or self._best.get((op, bucket, device))
        return chosen or next(iter(self.kernels(op, _language(device))[0]), None)

    @contextlib.contextmanager
    def trying(self, kernels: Sequence[LoadedKernel]) -> Iterator[None]:
        """Have `kernel_for` give these on this thread."""
        self._trial.kernels = {one.source.op: one for one in kernels}
        try:
            yield
        finally:
            self._trial.kernels = {}

    def decided(self, key: Key) -> Choice | None:
        """The choice for `key` where one was made."""
        return self._choices.get(key)

    def report(self) -> str:
        """One line for each bucket met so far."""
        with self._lock:
            rows = [f"{key}: {one.reason}" for key, one in sorted(self._choices.items())]
        return "\n".join(rows) or "no kernel was called for"

    def kernels(self, op: str, language: Language = "c++") -> tuple[tuple[LoadedKernel, ...], str]:
        """Kernels for `op` that pass their check here, and why others are missing (or empty).

        Raises:
            KeyError: no such operation.
        """
        with self._lock:
            if (op, language) not in self._loaded:
                self._loaded[op, language] = self._load(op, language)
            return self._loaded[op, language]

    def has_evolved(self, op: str) -> bool:
        """Whether a champion for `op` was adopted, for whichever shapes."""
        with self._lock:
            if op not in self._evolved:
                found, _ = sources(op, self._adopted)
                self._evolved[op] = any(one.origin.startswith("evolved") for one in found)
            return self._evolved[op]

    def _load(self, op: str, language: Language) -> tuple[tuple[LoadedKernel, ...], str]:
        found, trouble = sources(op, self._adopted, language)
        troubles = [trouble] if trouble else []
        try:
            make = self._maker(language)
        except BuildError as error:
            return (), str(error)
        kernels = []
        for source in found:
            try:
                library = make(source)
                fault = fault_of(op, library)
                if fault:
                    raise UserError(f"fails its check on this machine: {fault}")
                kernels.append(LoadedKernel(source, library, _functions(source, library)))
            except (UserError, OSError) as error:
                troubles.append(f"{source.origin}: {error}")
        if not found:
            troubles.append("no program for it")
        return tuple(kernels), "; ".join(troubles)

    def _maker(self, language: Language) -> Callable[[KernelSource], Path]:
        """What makes a program into a file that functions are loaded from; raises BuildError."""
        if language == "triton":
            why = devices.hindrance()
            if why:
                raise BuildError(why)
            return lambda source: devices.program(source, self._folder)
        compiler = building.find_compiler()
        return lambda source: building.build(source, compiler, self._folder)

    def _sets(
        self, needed: Mapping[str, str], language: Language
    ) -> tuple[list[tuple[LoadedKernel, ...]], str]:
        """Kernels that go together, preferred ones first, and why there are none (or empty)."""
        found: list[Sequence[LoadedKernel]] = []
        troubles = []
        for op, dtype in needed.items():
            kernels, trouble = self.kernels(op, language)
            found.append([one for one in kernels if one.source.dtype == dtype])
            if not found[-1]:
                troubles.append(trouble or f"no program for {dtype}")
        if troubles:
            return [], "; ".join(troubles)
        count = max(map(len, found))
        return [tuple(one[min(i, len(one) - 1)] for one in found) for i in range(count)], ""

    def _decide(
        self,
        key: Key,
        needed: Mapping[str, str],
        rival: Work,
        work: Callable[[tuple[LoadedKernel, ...]], Work],
        threads: int,
    ) -> Choice:
        sets, trouble = self._sets(needed, _language(key.device))
        if not sets:
            return Choice((), f"PyTorch's path: {trouble}")
        if not self._timed:
            return Choice(sets[0], f"kernel ({_origins(sets[0])}), not timed")
        clock: Literal["auto", "wall"] = "wall" if key.device.startswith("cuda") else "auto"
        settings = Settings(threads=threads, margin=0.02, clock=clock)
        rng = random.Random(" ".join(key))
        results = [
            (compare(rival, work(one), rng=rng, limits=_TRIAL, settings=settings), one)
            for one in sets
        ]
        best, kernels = max(results, key=lambda result: result[0].low)
        told = f"{best.ratio:.2f}x [{best.low:.2f}, {best.high:.2f}] as fast as PyTorch"
        # Noise may leave it undecided; then the likelier one runs, and the line shows the interval.
        if best.ratio <= 1.0:
            return Choice((), f"PyTorch's path: the kernel is {told} here", best)
        return Choice(kernels, f"kernel ({_origins(kernels)}), {told}", best)


def _language(device: str) -> Language:
    return "c++" if device == CPU else "triton"


def _origins(kernels: Sequence[LoadedKernel]) -> str:
    return " and ".join(dict.fromkeys(one.source.origin for one in kernels))


def _functions(source: KernelSource, library: Path) -> dict[str, Callable[..., Any]]:
    if source.language == "triton":
        return devices.functions(library, source.functions)
    loaded = ctypes.CDLL(str(library))
    functions: dict[str, Callable[..., Any]] = {}
    for name, signature in source.functions.items():
        function = getattr(loaded, name)
        function.argtypes = [
            ctypes.c_void_p if "[]" in one else SCALARS[one] for one in signature.arguments
        ]
        function.restype = None
        functions[name] = function
    return functions
