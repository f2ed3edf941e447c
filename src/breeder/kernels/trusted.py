"""Hand-written programs called in this process: baselines and tests. Never generated code."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from breeder.core import NativeFunction
from breeder.errors import EvaluatorError
from breeder.measurement import Spent

SCALARS: Mapping[str, Any] = {
    "int32": ctypes.c_int32,
    "int64": ctypes.c_int64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}
_COMPILERS = {".c": "gcc", ".cpp": "g++"}
_COMPILE_SECONDS = 120


class TrustedProgram:
    """Functions of ours that take the arguments of a kernel, in place of a candidate.

    Args:
        signatures: name -> signature; arrays declared `inout` are answered back.
        functions: name -> callable; it gets arrays, or pointers where `native`.
        native: whether the functions take C types.
    """

    def __init__(
        self,
        signatures: Mapping[str, NativeFunction],
        functions: Mapping[str, Callable[..., Any]],
        *,
        native: bool = False,
    ) -> None:
        self._signatures, self._functions, self._native = signatures, functions, native

    def call(self, function: str, *arguments: Any, cpu_seconds: float | None = None) -> list[Any]:
        """Make one call of a native function; see `Candidate.call`. No budget is kept.

        Returns:
            The returned value, then the arrays written; an `out` array is given by its shape.
        """
        del cpu_seconds
        types = self._signatures[function].arguments
        given = [
            np.full(argument, -1, declared.split()[1].removesuffix("[]"))
            if declared.startswith("out ")
            else np.array(argument)
            if isinstance(argument, np.ndarray)
            else argument
            for declared, argument in zip(types, arguments, strict=True)
        ]
        value = self._functions[function](*_passed(types, given))
        return [value, *(one for one, name in zip(given, types, strict=True) if "out " in name)]

    def prepare(self, function: str, calls: Sequence[Sequence[Any]]) -> TrustedBatch:
        """Lay out calls; see `Candidate.prepare`."""
        types = self._signatures[function].arguments
        copies = [[np.array(a) if isinstance(a, np.ndarray) else a for a in call] for call in calls]
        target = self._functions[function]
        bound = [
            functools.partial(target, *(_passed(types, call) if self._native else call))
            for call in copies
        ]
        written = [i for i, declared in enumerate(types) if declared.startswith("inout ")]
        return TrustedBatch(bound, copies, written)

    def restart(self) -> None:
        """Nothing to restart: there is no other process."""

    def exchange(self, other: Any) -> None:
        """Nothing to exchange: there is no sandbox."""


class TrustedBatch:
    """Calls laid out in this process; see `Batch`."""

    def __init__(
        self,
        bound: Sequence[Callable[[], Any]],
        arguments: Sequence[list[Any]],
        written: Sequence[int],
    ) -> None:
        self._bound, self._arguments, self._written = bound, arguments, written
        self._returned: list[Any] = []

    def run(self) -> Spent:
        """Make every call once."""
        wall, cpu = time.perf_counter(), time.process_time()
        returned = [call() for call in self._bound]
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self._returned = returned
        return Spent(cpu, wall)

    def output(self, index: int) -> Any:
        """The returned value and the arrays written."""
        return [self._returned[index], *(self._arguments[index][i] for i in self._written)]

    def arguments(self, index: int) -> list[Any]:
        """The arguments as they are now."""
        return self._arguments[index]


def compiled(
    source: Path, flags: Sequence[str], signatures: Mapping[str, NativeFunction]
) -> TrustedProgram:
    """Compile a hand-written C or C++ file and load it into this process.

    Raises:
        EvaluatorError: no compiler, or it refuses the file.
    """
    compiler = shutil.which(_COMPILERS[source.suffix])
    if compiler is None:
        raise EvaluatorError(f"{source.name}: no {_COMPILERS[source.suffix]} on PATH; install it")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "program.so"
        command = [compiler, *flags, "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS)
        if done.returncode:
            reason = " ".join(done.stderr.split())[:300]
            raise EvaluatorError(f"{source.name}: does not compile: {reason}")
        return loaded(ctypes.CDLL(str(library)), signatures)


def loaded(library: ctypes.CDLL, signatures: Mapping[str, NativeFunction]) -> TrustedProgram:
    """Functions of a library that is in this process already.

    Raises:
        AttributeError: the library has no function of that name.
    """
    targets: dict[str, Callable[..., Any]] = {}
    for name, signature in signatures.items():
        target = getattr(library, name)
        target.restype = None if signature.returns == "void" else SCALARS[signature.returns]
        targets[name] = target
    return TrustedProgram(signatures, targets, native=True)


def _passed(types: Sequence[str], call: Sequence[Any]) -> list[Any]:
    return [
        ctypes.c_void_p(value.ctypes.data)
        if isinstance(value, np.ndarray)
        else SCALARS[declared](value)
        for declared, value in zip(types, call, strict=True)
    ]
