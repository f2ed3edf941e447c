"""Calls functions of a compiled shared library by their declared signatures, inside the sandbox."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from breeder.core import FailureKind
from breeder.evaluation.native_loop import loop_name
from breeder.evaluation.prepared import SCALARS, NativeBatch, answer_of, lay_out
from breeder.evaluation.refusal import RefusedError

# With its pages in the tables: none of them is to be looked for under the clock.
_MAP = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


class NativeProgram:
    """A shared library with declared functions.

    Args:
        library: the file.
        functions: name -> (argument types, return type), as in `sandbox.NativeFunction`.
        loops: library of the loops that make prepared calls, see `native_loop`.

    Raises:
        RefusedError: COMPILE when the library cannot be loaded.
    """

    def __init__(
        self, library: str, functions: Mapping[str, tuple[Sequence[str], str]], loops: str
    ) -> None:
        self._functions = functions
        try:
            self._loops = ctypes.CDLL(loops)  # first: loading the program runs code of it
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
        addresses = np.empty((count, len(types)), np.uint64)
        for index, column in enumerate(columns):
            addresses[:, index] = column
        addresses += np.uint64(memory.ctypes.data)
        loop = self._loops[loop_name([*self._functions].index(function))]
        loop.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 4]
        loop.restype = None
        address = ctypes.cast(target, ctypes.c_void_p).value
        assert address is not None
        return NativeBatch(loop, address, self._flush, addresses, memory, returned)

    def _find(self, function: str) -> tuple[Any, Sequence[str]]:
        if function not in self._functions:
            raise RefusedError(FailureKind.MISSING, f"{function!r} has no declared signature")
        types, returns = self._functions[function]
        target = getattr(self._library, function, None)
        if target is None:
            raise RefusedError(FailureKind.MISSING, f"there is no function {function!r}")
        target.restype = None if returns == "void" else SCALARS[returns]
        return target, types
