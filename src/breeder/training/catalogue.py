"""What is known and adopted for each operation, and what became of it on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from breeder.errors import UserError
from breeder.task_formats import load
from breeder.training import building, checking, devices
from breeder.training.building import BuildError, Compiler
from breeder.training.checking import Finding
from breeder.training.sources import TASKS, TRITON, KernelSource, Language, sources
from breeder.verification.registry import Registry

ANY = "any"
"""The bucket of a program that was not evolved for particular shapes."""


class Entry(msgspec.Struct, frozen=True):
    """A program that can stand in for an operation.

    Attributes:
        op, dtype: what it computes.
        bucket: the shapes that it was evolved for, or `any`.
        source: `evolved` with its certificate, or `written by hand`.
        state: on this machine, in words.
        usable: whether it can run here as far as is known.
        low, speedup, high: how much faster than plain loops, where it was timed: an interval.
        needs: what it would take that this machine lacks; empty where it is meant for this machine.
    """

    op: str
    dtype: str
    bucket: str
    source: str
    state: str
    usable: bool
    low: float | None = None
    speedup: float | None = None
    high: float | None = None
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Reads, builds and checks the kernels of this machine.

    Attributes:
        adopted: the registry of adopted champions.
        folder: where libraries are kept.
    """

    adopted: Registry
    folder: Path

    @classmethod
    def default(cls) -> Catalogue:
        """The user's own registry and cache."""
        return cls(Registry.default(), building.cache_folder())

    def listed(self, ops: Sequence[str]) -> Iterator[Entry]:
        """Every program for these operations; builds and runs nothing."""
        compiler, why = _compiler()
        for source in self._sources(ops):
            yield _entry(source, *self._state(source, compiler, why))
        for source in self._sources(ops, "triton"):
            yield self._of_triton(source, checked=False)

    def installed(self, ops: Sequence[str]) -> Iterator[Entry]:
        """Build and check every program that is not there yet.

        Raises:
            BuildError: no compiler.
        """
        for source, library, why in self._built(ops):
            why = why or (checking.fault_of(source.op, library) if library else "")
            yield _entry(source, why or "built and checked", not why)
        for source in self._sources(ops, "triton"):
            yield self._of_triton(source, checked=not devices.hindrance())

    def verified(self, ops: Sequence[str]) -> Iterator[Entry]:
        """Check every program anew on fresh inputs, and time it against plain loops.

        Raises:
            BuildError: no compiler.
        """
        compiler = building.find_compiler()
        for source, library, why in self._built(ops):
            if library is None:
                yield _entry(source, why, usable=False)
                continue
            start = building.build(_start(source), compiler, self.folder)
            found: Finding = checking.examined(source.op, library, start)
            if found.fault:
                yield _entry(source, f"fails its check: {found.fault}", usable=False)
                continue
            entry = _entry(source, "checked", usable=True)
            yield msgspec.structs.replace(
                entry, low=found.low, speedup=found.speedup, high=found.high
            )
        for source in self._sources(ops, "triton"):
            yield self._of_triton(source, checked=devices.installed())

    def _of_triton(self, source: KernelSource, *, checked: bool) -> Entry:
        """What became of a program in Triton; checked anew, in the interpreter where no GPU is."""
        why = devices.hindrance()
        if not checked:
            done = not why and devices.program(source, self.folder).with_suffix(checking.MARK)
            state = "checked" if done and done.is_file() else "not checked yet"
            entry = _entry(source, why or state, not why)
            return msgspec.structs.replace(entry, needs=why)
        path = devices.program(source, self.folder)
        fault = checking.examined(source.op, path).fault
        if fault:
            return _entry(source, f"fails its check: {fault}", usable=False)
        if not why:
            path.with_suffix(checking.MARK).touch()
            return _entry(source, "checked, not timed by itself", usable=True)
        state = f"{why}; right in Triton's interpreter, never timed"
        return msgspec.structs.replace(_entry(source, state, usable=False), needs=why)

    def _sources(self, ops: Sequence[str], language: Language = "c++") -> Iterator[KernelSource]:
        for op in ops:
            if language == "triton" and op not in TRITON:
                continue
            found, trouble = sources(op, self.adopted, language)
            if trouble:
                raise UserError(trouble)
            yield from found

    def _built(self, ops: Sequence[str]) -> Iterator[tuple[KernelSource, Path | None, str]]:
        compiler = building.find_compiler()
        for source in self._sources(ops):
            try:
                yield source, building.build(source, compiler, self.folder), ""
            except BuildError as error:
                yield source, None, str(error)

    def _state(self, source: KernelSource, compiler: Compiler | None, why: str) -> tuple[str, bool]:
        if compiler is None:
            return why, False
        library = building.library(source, compiler, self.folder)
        if not library.is_file():
            return "not built yet", True
        checked = library.with_suffix(checking.MARK).is_file()
        return "built and checked" if checked else "built, not checked yet", True


def chosen_ops(names: Sequence[str]) -> tuple[str, ...]:
    """The operations that are named, or all.

    Raises:
        UserError: one of them does not exist.
    """
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        raise UserError(f"{unknown[0]!r} is no operation; there are {', '.join(TASKS)}")
    return tuple(names) or tuple(TASKS)


def _compiler() -> tuple[Compiler | None, str]:
    try:
        return building.find_compiler(), ""
    except BuildError as error:
        return None, str(error)


def _start(source: KernelSource) -> KernelSource:
    """The textbook program that the task of a kernel begins with."""
    return replace(source, text=load(TASKS[source.op]).files[source.file])


def _entry(source: KernelSource, state: str, usable: bool) -> Entry:  # noqa: FBT001
    bucket = source.origin.partition(" for ")[2].partition(",")[0] or ANY
    return Entry(source.op, source.dtype, bucket, source.origin, state, usable)
