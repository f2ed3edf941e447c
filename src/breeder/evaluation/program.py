"""The evaluator's end of a running program: sends calls, waits within limits, believes nothing."""

from __future__ import annotations

import os
import secrets
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from breeder.core import Cost, Failure, FailureKind
from breeder.evaluation import wire
from breeder.evaluation.batch import EncodedBatch, PreparedBatch
from breeder.evaluation.clock import Meter
from breeder.evaluation.control import Company, Died, Reason
from breeder.evaluation.limits import MIB, failure_of_status
from breeder.evaluation.memory_file import MemoryFile
from breeder.evaluation.output import Output
from breeder.evaluation.sandbox import CandidateFailedError, Limits
from breeder.evaluation.shared_batch import SharedBatch

_CHUNK = 1 << 20
_INT = struct.Struct("i")
_EXIT_GRACE_SECONDS = 2.0
_MAX_DETAIL = 4000
_ENVELOPE_BYTES = 4096  # what an answer's frame holds beside the answer

_REASON_KINDS: Mapping[Reason, FailureKind] = {
    "cpu": FailureKind.CPU_TIME,
    "memory": FailureKind.MEMORY,
    "processes": FailureKind.PROCESSES,
}
_REPORTABLE = frozenset(
    {
        FailureKind.SYNTAX, FailureKind.COMPILE, FailureKind.MISSING, FailureKind.EXCEPTION,
        FailureKind.CRASH, FailureKind.EXIT, FailureKind.MEMORY, FailureKind.DISK,
        FailureKind.OUTPUT, FailureKind.PROTOCOL,
    }
)  # fmt: skip
_SURVIVABLE = frozenset({FailureKind.EXCEPTION, FailureKind.MISSING, FailureKind.PROTOCOL})


class Supervision(Protocol):
    """Watches a program's processes from outside and kills them.

    Attributes:
        interval: how often `check` must be called while waiting, in seconds; None when `fileno`
            becomes readable whenever there is something to check.
    """

    interval: float | None

    def fileno(self) -> int:
        """Descriptor that becomes readable when the program died; -1 when there is none."""
        ...

    def allow(self, cpu_seconds: float) -> None:
        """Allow the process tree this much CPU time from now on."""
        ...

    def check(self) -> Died | None:
        """Say how the program ended, or None while it lives. Does not block."""
        ...

    def usage(self) -> float:
        """Check the limits now and return the CPU seconds of the process tree."""
        ...

    def pid(self) -> int:
        """Number of the program's first process as this process sees it; 0 when it has ended.

        Raises:
            SandboxUnavailableError: this system does not tell.
        """
        ...

    def company(self) -> Company:
        """Say which processes the program has made beside its first."""
        ...

    def kill(self) -> float:
        """Kill every process, wait until they are gone, return their CPU seconds."""
        ...


class RunningProgram:
    """A `SandboxedProgram` over a data socket, an output pipe and a supervision."""

    def __init__(
        self, data: socket.socket, pipe: int, supervision: Supervision, limits: Limits
    ) -> None:
        data.setblocking(False)
        self._data = data
        self._output = Output(pipe, limits.output_kib * 1024)
        self._supervision = supervision
        self._limits = limits
        self._begin = time.monotonic()
        self._end: float | None = None
        self._cpu_seconds = 0.0
        self._prior = Cost()
        self._failure: Failure | None = None
        self._closed = False
        self._spec: Mapping[str, Any] = {}
        self._meter: Meter | None = None
        self._memory: MemoryFile | None = None
        self._poller = select.poll()
        self._poller.register(data, select.POLLIN)
        self._poller.register(pipe, select.POLLIN)
        if supervision.fileno() >= 0:
            self._poller.register(supervision.fileno(), select.POLLIN)

    def load(self, spec: Mapping[str, Any], prior: Cost | None = None) -> None:
        """Have the worker load a program; any failure ends it.

        Args:
            spec: what `worker` reads.
            prior: what was spent for it before, added to `cost`.

        Raises:
            CandidateFailedError: it does not load.
        """
        self._prior = prior or Cost()
        self._spec = spec
        try:
            self.ask("load", "", [spec], self._begin + self._limits.wall_seconds)
        except CandidateFailedError as error:
            self.fail(error.failure)
            self.close()
            raise

    def call(self, function: str, *arguments: Any, cpu_seconds: float, wall_seconds: float) -> Any:
        """Call a function of the program, see `SandboxedProgram.call`."""
        deadline = time.monotonic() + wall_seconds
        self.raise_if_dead()
        self._supervision.allow(cpu_seconds)
        try:
            return self.ask("call", function, list(arguments), deadline)
        finally:
            if self._meter is not None:
                self._meter.read()  # what calls use is not used outside of the clock

    def prepare(
        self,
        function: str,
        calls: Sequence[Sequence[Any]],
        *,
        cpu_seconds: float,
        wall_seconds: float,
    ) -> PreparedBatch:
        """Lay out calls in the program's memory, see `SandboxedProgram.prepare`."""
        deadline = time.monotonic() + wall_seconds
        self.raise_if_dead()
        self._supervision.allow(cpu_seconds)
        if self._meter is None:
            pid = self._supervision.pid()
            if pid == 0:
                raise self._lost()
            self._meter = Meter(pid, self._supervision)
        if self._spec["mode"] == "native":
            signature = self._spec["functions"].get(function)
            return SharedBatch(self, self._meter, (function, signature), calls, deadline)
        return EncodedBatch(self, self._meter, function, calls, deadline)

    def memory(self) -> MemoryFile:
        """The memory that it shares with this process; as much as it may use itself."""
        if self._memory is None:
            self._memory = MemoryFile(self._limits.memory_mib * MIB)
        return self._memory

    def output(self) -> str:
        """What it printed so far."""
        if not self._closed:
            self._output.drain()
        return self._output.text()

    def cost(self) -> Cost:
        """CPU time of its process tree and wall time since it was started."""
        if self._end is None:
            self._cpu_seconds = max(self._cpu_seconds, self._supervision.usage())
            died = self._supervision.check()
            if died is not None:
                self.fail(self._failure_of(died))
        end = time.monotonic() if self._end is None else self._end
        return Cost(self._cpu_seconds, end - self._begin) + self._prior

    def close(self) -> None:
        """Kill every process of it. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._meter is not None:
            self._meter.close()
        if self._memory is not None:
            self._memory.close()
        try:
            self._kill()
        finally:
            self._data.close()
            os.close(self._output.pipe)

    def ask(
        self,
        operation: str,
        function: str,
        arguments: Sequence[Any],
        deadline: float,
        handle: int = -1,
    ) -> Any:
        """Have the worker do something and return its answer, see `worker.Message`.

        Raises:
            CandidateFailedError: as for `SandboxedProgram.call`.
        """
        self.raise_if_dead()
        ticket = secrets.randbits(62)
        message = wire.frame(wire.encode([ticket, operation, function, arguments]))
        self._send(message, deadline, handle)
        return self._answer(ticket, deadline)

    def go(self, deadline: float) -> int:
        """Give the word to run the armed batch; return the nanoseconds until the answer came.

        Raises:
            CandidateFailedError: as for `SandboxedProgram.call`.
        """
        ticket = secrets.randbits(62)
        word = ticket.to_bytes(wire.TICKET_BYTES, "little")
        begin = time.perf_counter_ns()
        self._send(word, deadline)
        answer = self._receive_exactly(wire.TICKET_BYTES + 1, deadline)
        elapsed = time.perf_counter_ns() - begin
        if answer == word + wire.FAILED:
            self._answer(ticket, deadline)
        if answer != word + wire.DONE:
            raise self.fail(Failure(FailureKind.PROTOCOL, "an answer to another word"))
        self._output.drain()
        self._check_output()
        return elapsed

    def _answer(self, ticket: int, deadline: float) -> Any:
        body = self._receive(deadline)
        try:
            answer = wire.decode(body)
        except wire.WireError as error:
            raise self.fail(Failure(FailureKind.PROTOCOL, f"a damaged answer: {error}")) from None
        self._output.drain()
        self._check_output()
        return self._believe(answer, ticket)

    def _believe(self, answer: Any, ticket: int) -> Any:
        if not isinstance(answer, list) or len(answer) != 3 or answer[0] != ticket:
            text = "an answer that does not belong to the call"
            raise self.fail(Failure(FailureKind.PROTOCOL, text))
        _, status, value = answer
        if status == "ok":
            return value
        if status not in _REPORTABLE or not isinstance(value, str):
            raise self.fail(Failure(FailureKind.PROTOCOL, "an answer of an unknown kind"))
        failure = Failure(FailureKind(status), value[:_MAX_DETAIL])
        # The exception may be the first sign of a limit that sampling has not seen yet.
        self._cpu_seconds = max(self._cpu_seconds, self._supervision.usage())
        died = self._supervision.check()
        if died is not None and died.reason != "exited":
            raise self.fail(self._failure_of(died))
        if failure.kind not in _SURVIVABLE:
            raise self.fail(failure)
        raise CandidateFailedError(failure)

    def _send(self, frame: bytes, deadline: float, handle: int = -1) -> None:
        rest = memoryview(frame)
        handles = [] if handle < 0 else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _INT.pack(handle))]
        while rest:
            try:
                rest = rest[self._data.sendmsg([rest], handles, socket.MSG_NOSIGNAL) :]
                handles = []
            except BlockingIOError:
                self._wait(deadline, select.POLLOUT | select.POLLIN)
            except OSError:
                raise self._lost() from None

    def _receive(self, deadline: float) -> bytearray:
        (size,) = wire.HEADER.unpack(self._receive_exactly(wire.HEADER.size, deadline))
        if size > self._limits.answer_mib * MIB + _ENVELOPE_BYTES:
            text = f"an answer of {size} bytes, {self._limits.answer_mib} MiB are allowed"
            raise self.fail(Failure(FailureKind.OUTPUT, text))
        body = self._receive_exactly(size, deadline)
        if time.monotonic() > deadline:
            self._wait(deadline, select.POLLIN)
        return body

    def _receive_exactly(self, size: int, deadline: float) -> bytearray:
        buffer = bytearray()
        while len(buffer) < size:
            chunk = self._read(min(size - len(buffer), _CHUNK))
            if chunk is None:
                self._wait(deadline, select.POLLIN)
                continue
            buffer += chunk
        return buffer

    def _read(self, size: int) -> bytes | None:
        try:
            chunk = self._data.recv(size)
        except BlockingIOError:
            return None
        except OSError:
            raise self._lost() from None
        if not chunk and size:
            raise self._lost()
        return chunk

    def _wait(self, deadline: float, events: int) -> None:
        """Wait until the socket may be ready; see to output and the process meanwhile."""
        self._poller.modify(self._data, events)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                text = "it did not answer within the wall time allowed"
                raise self.fail(Failure(FailureKind.WALL_TIME, text))
            interval = self._supervision.interval
            wait = left if interval is None else min(left, interval)
            ready = dict(self._poller.poll(wait * 1000 + 1))
            if self._output.pipe in ready and not self._output.drain():
                self._poller.unregister(self._output.pipe)
            self._check_output()
            if self._data.fileno() in ready:
                return
            if ready or interval is not None:
                died = self._supervision.check()
                if died is not None:
                    raise self.fail(self._failure_of(died))

    def _lost(self) -> CandidateFailedError:
        """The channel broke: because the process ended, which is then the better reason, or not."""
        deadline = time.monotonic() + _EXIT_GRACE_SECONDS
        poller = select.poll()
        if self._supervision.fileno() >= 0:
            poller.register(self._supervision.fileno(), select.POLLIN)
        died = self._supervision.check()
        while died is None and (left := deadline - time.monotonic()) > 0:
            interval = self._supervision.interval
            poller.poll((left if interval is None else min(left, interval)) * 1000 + 1)
            died = self._supervision.check()
        if died is not None:
            return self.fail(self._failure_of(died))
        return self.fail(Failure(FailureKind.PROTOCOL, "it closed the channel for its answers"))

    def _check_output(self) -> None:
        if self._output.exceeded:
            text = f"printed more than {self._limits.output_kib} KiB"
            raise self.fail(Failure(FailureKind.OUTPUT, text))

    def _failure_of(self, died: Died) -> Failure:
        self._cpu_seconds = max(self._cpu_seconds, died.cpu_seconds)
        while self._output.drain() and not self._output.exceeded:
            if not select.select([self._output.pipe], [], [], 0)[0]:
                break
        if self._output.exceeded:
            text = f"printed more than {self._limits.output_kib} KiB"
            return Failure(FailureKind.OUTPUT, text)
        if died.reason in _REASON_KINDS:
            return Failure(_REASON_KINDS[died.reason], died.detail)
        return failure_of_status(died.status, self._output.text())

    def fail(self, failure: Failure) -> CandidateFailedError:
        """End the program for good; later calls raise the same failure."""
        if self._failure is None:
            self._failure = failure
        self._kill()
        return CandidateFailedError(self._failure)

    def raise_if_dead(self) -> None:
        """Raise the failure that it ended with, if it has ended."""
        if self._failure is None and self._end is None:
            died = self._supervision.check()
            if died is not None:
                self.fail(self._failure_of(died))
        if self._failure is not None:
            raise CandidateFailedError(self._failure)
        if self._closed:
            raise CandidateFailedError(Failure(FailureKind.EXIT, "the program was closed"))

    def _kill(self) -> None:
        if self._end is None:
            self._end = time.monotonic()
            self._cpu_seconds = max(self._cpu_seconds, self._supervision.kill())
