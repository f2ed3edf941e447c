"""The evaluator's end of prepared calls: lays them out, runs them, reads what came of them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from breeder.core import Failure, FailureKind
from breeder.evaluation import wire
from breeder.evaluation.clock import Meter
from breeder.evaluation.memory_file import MemoryFile
from breeder.evaluation.sandbox import CandidateFailedError
from breeder.measurement.comparison import Spent

# What the worker may use outside of the runs, in nanoseconds: two to five times what honest
# programs were seen to use on a crowded machine.
_LAYING = 1_000_000
_LAYING_A_CALL = 60_000
_DECODING_A_BYTE = 2
_DECODING_A_VALUE_BYTE = 30  # of anything but arrays
_CLEARING = 500_000
_CLEARING_A_CALL = 4_000
_CLEARING_A_BYTE = 1
_FETCHING = 400_000
_FETCHING_A_BYTE = 2


class Worker(Protocol):
    """What a batch needs of `program.RunningProgram`."""

    def ask(
        self,
        operation: str,
        function: str,
        arguments: Sequence[Any],
        deadline: float,
        handle: int = -1,
    ) -> Any:
        """Have the worker do something and return its answer; may send it a descriptor."""
        ...

    def go(self, deadline: float) -> int:
        """Give the word to run; return elapsed nanoseconds."""
        ...

    def fail(self, failure: Failure) -> CandidateFailedError:
        """End the program for good."""
        ...

    def raise_if_dead(self) -> None:
        """Raise the failure that it ended with, if it has ended."""
        ...

    def memory(self) -> MemoryFile:
        """The memory that it shares with this process."""
        ...


class PreparedBatch(ABC):
    """A `SandboxedBatch` over a running program.

    Args:
        worker: the program.
        meter: its clock.
        size: number of calls.
    """

    def __init__(self, worker: Worker, meter: Meter, size: int) -> None:
        self._worker = worker
        self._meter = meter
        self._size = size
        self._ran = False
        meter.prepared = self

    def run(self, *, wall_seconds: float) -> Spent:
        """Make every call once, see `SandboxedBatch.run`."""
        deadline = time.monotonic() + wall_seconds
        self._check_current()
        self._ran = False
        self._arm(deadline)
        self._raise(self._meter.idle())
        begin = self._meter.last
        self._meter.phase = "run"
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
        self._check_there(index)
        return self._output(index, time.monotonic() + wall_seconds)

    def arguments(self, index: int, *, wall_seconds: float) -> list[Any]:
        """The arguments of call number `index` as they are now."""
        self._check_there(index)
        return self._arguments(index, time.monotonic() + wall_seconds)

    @abstractmethod
    def _arm(self, deadline: float) -> None:
        """Make everything as it was before the first run."""

    @abstractmethod
    def _output(self, index: int, deadline: float) -> Any:
        """See `output`."""

    @abstractmethod
    def _arguments(self, index: int, deadline: float) -> list[Any]:
        """See `arguments`."""

    def _ask(
        self,
        operation: str,
        arguments: Sequence[Any],
        deadline: float,
        *,
        function: str = "",
        handle: int = -1,
    ) -> tuple[Any, int]:
        """Ask the worker; return its answer and the CPU time, in nanoseconds, that it used."""
        self._raise(self._meter.idle())
        begin = self._meter.last
        try:
            answer = self._worker.ask(operation, function, arguments, deadline, handle)
        finally:
            used = self._meter.read() - begin
        return answer, used

    def _judge(self, operation: str, used: int, allowed: int) -> None:
        self._raise(self._meter.outside(operation, used, allowed))

    def _check_there(self, index: int) -> None:
        if not 0 <= index < self._size:
            raise IndexError(f"there is no call {index} in a batch of {self._size}")
        self._check_current()
        if not self._ran:
            raise RuntimeError("what became of a batch is there after its run")

    def _check_current(self) -> None:
        if self._meter.prepared is not self:
            raise RuntimeError("the batch is gone: another was prepared since")

    def _raise(self, failure: Failure | None) -> None:
        if failure is not None:
            raise self._worker.fail(failure)


class EncodedBatch(PreparedBatch):
    """Calls of a Python function: arguments and answers travel, as it has no memory to share.

    Args:
        worker: the program.
        meter: its clock.
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
        function: str,
        calls: Sequence[Sequence[Any]],
        deadline: float,
    ) -> None:
        super().__init__(worker, meter, len(calls))
        packed = wire.encode([list(call) for call in calls])
        arrays = sum(map(array_bytes, calls))
        values = (len(packed) - arrays) * _DECODING_A_VALUE_BYTE
        self._laying_ns = _LAYING + self._size * _LAYING_A_CALL + arrays * _DECODING_A_BYTE + values
        # Arguments are made anew for each run.
        self._clearing_ns = (
            _CLEARING + self._size * _CLEARING_A_CALL + arrays * _CLEARING_A_BYTE + values
        )
        _, used = self._ask("prepare", [packed], deadline, function=function)
        self._judge("prepare", used, self._laying_ns)

    def _arm(self, deadline: float) -> None:
        _, used = self._ask("arm", [], deadline)
        self._judge("arm", used, self._clearing_ns)

    def _output(self, index: int, deadline: float) -> Any:
        answer, used = self._ask("output", [index], deadline)
        self._judge("output", used, _FETCHING + _FETCHING_A_BYTE * array_bytes(answer))
        try:
            return wire.decode(answer)
        except (wire.WireError, TypeError) as error:
            text = f"a damaged answer: {error}"
            raise self._worker.fail(Failure(FailureKind.PROTOCOL, text)) from None

    def _arguments(self, index: int, deadline: float) -> list[Any]:
        answer, used = self._ask("arguments", [index], deadline)
        self._judge("arguments", used, self._laying_ns)
        if not isinstance(answer, list):
            text = "arguments that are not a list"
            raise self._worker.fail(Failure(FailureKind.PROTOCOL, text))
        return answer


def array_bytes(value: Any) -> int:
    """Bytes of the arrays, and byte strings, in a value or in a list of values."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(array_bytes(item) for item in value if not isinstance(item, int | float))
    return 0
