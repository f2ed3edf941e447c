"""Calls functions of a compiled shared library by their declared signatures, inside the sandbox."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breeder.core import FailureKind
from breeder.evaluation import wire
from breeder.evaluation.prepared import SCALARS, NativeBatch, answer_of, lay_out
from breeder.evaluation.refusal import RefusedError


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
        call = self._lay_out(function, types, arguments, again=False)
        result = target(*(argument.passed for argument in call))
        self._flush(None)  # what C printed
        return answer_of(result, call)

    def prepare(self, function: str, packed: bytes) -> NativeBatch:
        """Lay out calls, given as the `wire` bytes of their arguments.

        Raises:
            RefusedError, ValueError: as for `call`.
        """
        target, types = self._find(function)
        calls = [
            self._lay_out(function, types, arguments, again=True)
            for arguments in wire.decode(packed)
        ]
        return NativeBatch(target, self._flush, calls)

    def _find(self, function: str) -> tuple[Callable[..., Any], Sequence[str]]:
        if function not in self._functions:
            raise RefusedError(FailureKind.MISSING, f"{function!r} has no declared signature")
        types, returns = self._functions[function]
        target = getattr(self._library, function, None)
        if target is None:
            raise RefusedError(FailureKind.MISSING, f"there is no function {function!r}")
        target.restype = None if returns == "void" else SCALARS[returns]
        return target, types

    def _lay_out(
        self, function: str, types: Sequence[str], arguments: list[Any], *, again: bool
    ) -> list[Any]:
        if len(types) != len(arguments):
            raise ValueError(f"{function} takes {len(types)} arguments, {len(arguments)} given")
        return [*lay_out(types, arguments, again=again)]
