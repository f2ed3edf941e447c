"""Calls functions of a compiled shared library by their declared signatures, inside the sandbox."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from breeder.core import FailureKind
from breeder.evaluation.prepared import SCALARS, NativeBatch, answer_of, lay_out
from breeder.evaluation.refusal import RefusedError

# With its pages in the tables: none of them is to be looked for under the clock.
_MAP = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


class NativeProgram:
    """A shared library with declared functions.

    Args:
        library: the file.
        functions: name -> (argument types, return type), as in `sandbox.NativeFunction`.

    Raises:
        RefusedError: COMPILE when the library cannot be loaded.
    """

    def __init__(self, library: str, functions: Mapping[str, tuple[Sequence[str], str]]) -> None:
        self._functions = functions
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            text = str(error)[:500]
            raise RefusedError(FailureKind.COMPILE, f"cannot be loaded: {text}") from None
        self._flush = ctypes.CDLL(None).fflush

    def call(self, function: str, arguments: list[Any]) -> Any:
        """Call a function.

        Returns:
            What it returns; with `inout` or `out` arrays, a list of that and of those arrays.

        Raises:
            RefusedError: MISSING when the library lacks it or it was not declared.
            ValueError: the arguments do not fit the signature.
        """
        target, types = self._find(function)
        if len(types) != len(arguments):
            raise ValueError(f"{function} takes {len(types)} arguments, {len(arguments)} given")
        call = lay_out(types, arguments)
        result = target(*(argument.passed for argument in call))
        self._flush(None)  # what C printed
        return answer_of(result, call)

    def prepare(self, function: str, handle: int, plan: Sequence[Any]) -> NativeBatch:
        """Have calls ready on memory that the evaluator shares.

        Args:
            function: its name.
            handle: descriptor of the memory.
            plan: as `shared_batch.SharedBatch` sends it: bytes to map, where returned values go,
                number of calls, and for each argument where its values lie in all calls. Scalars
                lie there, too, and are fetched when they are passed.

        Raises:
            RefusedError: MISSING as for `call`; MEMORY when it cannot be mapped.
        """
        target, types = self._find(function)
        size, returned, count, columns = plan
        try:
            memory = np.frombuffer(mmap.mmap(handle, size, flags=_MAP), np.uint8)
        except OSError as error:
            text = f"{size >> 20} MiB of arguments: {error.strerror}"
            raise RefusedError(FailureKind.MEMORY, text) from None
        base = memory.ctypes.data
        passed = [
            [SCALARS[declared].from_buffer(memory, offset) for offset in column.tolist()]
            if declared in SCALARS
            else [ctypes.c_void_p(base + offset) for offset in column.tolist()]
            for declared, column in zip(types, columns, strict=True)
        ]
        calls = [*zip(*passed, strict=True)] if passed else [()] * count
        answers = None
        returns = self._functions[function][1]
        if returns != "void":
            answers = np.frombuffer(memory, returns, count, returned)
        return NativeBatch(target, self._flush, calls, memory, answers)

    def _find(self, function: str) -> tuple[Callable[..., Any], Sequence[str]]:
        if function not in self._functions:
            raise RefusedError(FailureKind.MISSING, f"{function!r} has no declared signature")
        types, returns = self._functions[function]
        target = getattr(self._library, function, None)
        if target is None:
            raise RefusedError(FailureKind.MISSING, f"there is no function {function!r}")
        target.restype = None if returns == "void" else SCALARS[returns]
        return target, types
