"""The evaluator's end of prepared calls: lays them out, runs them, reads what came of them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from breeder.core import Failure, FailureKind
from breeder.evaluation import wire
from breeder.evaluation.clock import Meter
from breeder.evaluation.sandbox import CandidateFailedError
from breeder.measurement.comparison import Spent

# What the worker may use outside of the runs, in nanoseconds: two to five times what honest
# programs were seen to use on a crowded machine.
_LAYING = 1_000_000
_LAYING_A_CALL = 60_000
_LAYING_A_BYTE = 4  # of fresh arrays of compiled functions
_DECODING_A_BYTE = 2
_DECODING_A_VALUE_BYTE = 30  # of anything but arrays
_CLEARING = 500_000
_CLEARING_A_CALL = 4_000
_CLEARING_A_BYTE = 1
_FETCHING = 400_000
_FETCHING_A_BYTE = 2


class Worker(Protocol):
    """What a batch needs of `program.RunningProgram`."""

    def ask(self, operation: str, function: str, arguments: Sequence[Any], deadline: float) -> Any:
        """Have the worker do something and return its answer."""
        ...

    def go(self, deadline: float) -> int:
        """Give the word to run; return elapsed nanoseconds."""
        ...

    def fail(self, failure: Failure) -> CandidateFailedError:
        """End the program for good."""
        ...


class PreparedBatch:
    """A `SandboxedBatch` over a running program; lays the calls out when it is made.

    Args:
        worker: the program.
        meter: its clock.
        spec: what it was loaded with.
        function: the function to call.
        calls: arguments of each call.
        deadline: when laying out must be done, on the monotonic clock.

    Raises:
        CandidateFailedError: as for `SandboxedProgram.prepare`.
    """

    def __init__(
        self,
        worker: Worker,
        meter: Meter,
        spec: Mapping[str, Any],
        function: str,
        calls: Sequence[Sequence[Any]],
        deadline: float,
    ) -> None:
        self._worker = worker
        self._meter = meter
        self._encoded = spec["mode"] == "python"
        self._size = len(calls)
        packed = wire.encode([list(call) for call in calls])
        arrays = sum(map(array_bytes, calls))
        values = (len(packed) - arrays) * _DECODING_A_VALUE_BYTE
        if self._encoded:  # arguments are made anew for each run
            laying = arrays * _DECODING_A_BYTE + values
            clearing = arrays * _CLEARING_A_BYTE + values
        else:
            types = spec["functions"].get(function, ((), ""))[0]
            touched = arrays + sum(out_bytes(types, call) for call in calls)
            laying = touched * _LAYING_A_BYTE + values
            clearing = touched * _CLEARING_A_BYTE
        self._laying_ns = _LAYING + self._size * _LAYING_A_CALL + laying
        self._clearing_ns = _CLEARING + self._size * _CLEARING_A_CALL + clearing
        self._ran = False
        meter.prepared = self
        self._ask("prepare", function, [packed], deadline)

    def run(self, *, wall_seconds: float) -> Spent:
        """Make every call once, see `SandboxedBatch.run`."""
        deadline = time.monotonic() + wall_seconds
        self._check_current()
        self._ran = False
        self._ask("arm", "", [], deadline)
        begin = self._meter.read()
        try:
            wall = self._worker.go(deadline)
        finally:
            used = self._meter.read() - begin
        wall += self._meter.lingered  # threads that it did not wait for
        self._meter.in_runs += used
        self._raise(self._meter.company())
        self._ran = True
        return Spent(used / 1e9, wall / 1e9)

    def output(self, index: int, *, wall_seconds: float) -> Any:
        """What call number `index` answered."""
        if not self._ran:
            raise RuntimeError("outputs of a batch are there after its run")
        answer = self._fetch("output", index, wall_seconds)
        if not self._encoded:
            return answer
        try:
            return wire.decode(answer)
        except (wire.WireError, TypeError) as error:
            text = f"a damaged answer: {error}"
            raise self._worker.fail(Failure(FailureKind.PROTOCOL, text)) from None

    def arguments(self, index: int, *, wall_seconds: float) -> list[Any]:
        """The arguments of call number `index` as they are now."""
        answer = self._fetch("arguments", index, wall_seconds)
        if not isinstance(answer, list):
            text = "arguments that are not a list"
            raise self._worker.fail(Failure(FailureKind.PROTOCOL, text))
        return answer

    def _fetch(self, operation: str, index: int, wall_seconds: float) -> Any:
        if not 0 <= index < self._size:
            raise IndexError(f"there is no call {index} in a batch of {self._size}")
        self._check_current()
        return self._ask(operation, "", [index], time.monotonic() + wall_seconds)

    def _ask(self, operation: str, function: str, arguments: Sequence[Any], deadline: float) -> Any:
        """Ask the worker, and judge what it used for it."""
        self._raise(self._meter.idle())
        begin = self._meter.last
        try:
            answer = self._worker.ask(operation, function, arguments, deadline)
        finally:
            used = self._meter.read() - begin
        if operation == "arm":
            allowed = self._clearing_ns
        elif operation == "output":
            allowed = _FETCHING + _FETCHING_A_BYTE * array_bytes(answer)
        else:
            allowed = self._laying_ns
        self._raise(self._meter.outside(operation, used, allowed))
        return answer

    def _check_current(self) -> None:
        if self._meter.prepared is not self:
            raise RuntimeError("the batch is gone: another was prepared since")

    def _raise(self, failure: Failure | None) -> None:
        if failure is not None:
            raise self._worker.fail(failure)


def array_bytes(value: Any) -> int:
    """Bytes of the arrays, and byte strings, in a value or in a list of values."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(array_bytes(item) for item in value if not isinstance(item, int | float))
    return 0


def out_bytes(types: Sequence[str], arguments: Sequence[Any]) -> int:
    """Bytes of the `out` arrays of a call of a compiled function."""
    total = 0
    for declared, value in zip(types, arguments, strict=False):
        if declared.startswith("out "):
            total += (
                math.prod(np.ravel(value).tolist())
                * np.dtype(declared.split()[-1].removesuffix("[]")).itemsize
            )
    return total
