"""One slot of the local executor: an evaluator process and the socket to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from breeder.errors import EvaluatorError, SandboxUnavailableError
from breeder.evaluation import protocol
from breeder.evaluation.protocol import Plan, Refused, Reply, Request, Start
from breeder.executors.process_tree import tree_cpu_seconds

_LOG_BYTES = 8_192
_START_SECONDS = 300.0
_LEAVE_SECONDS = 2.0


class ProcessLostError(Exception):
    """The evaluator process ended without an answer. The text is the end of what it printed."""


class HungError(Exception):
    """The evaluator process did not answer in time and was killed.

    Attributes:
        cpu_seconds: CPU time that its tree used since the request.
    """

    def __init__(self, cpu_seconds: float) -> None:
        self.cpu_seconds = cpu_seconds
        super().__init__("no answer in time")


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """What every slot of an executor has in common."""

    plan: Plan
    sandbox: Literal["bubblewrap", "none"]
    environment: Mapping[str, str]


class Slot:
    """An evaluator process that is started when needed and replaced when it was lost.

    Not for concurrent use: one request at a time.
    """

    def __init__(self, number: int, settings: SlotSettings) -> None:
        self._number = number
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._log: _Log | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the process unless it runs.

        Raises:
            EvaluatorError: the evaluator cannot be loaded, or did not load in time.
            SandboxUnavailableError: no sandbox on this machine.
        """
        if self._closed:
            raise EvaluatorError("the executor is closed")
        if self._process is not None:
            return
        await self._spawn()
        request = Start(self._settings.plan, self._settings.sandbox, self._number)
        name = self._settings.plan.evaluator
        try:
            await self._exchange(request, _START_SECONDS)
        except HungError:
            raise EvaluatorError(f"{name}: did not load in {_START_SECONDS:.0f} s") from None
        except ProcessLostError as error:
            raise EvaluatorError(f"{name}: its process died while loading: {error}") from None
        except BaseException:
            await self.kill()
            raise

    async def ask(self, request: Request, timeout: float) -> Reply:
        """Send a request and wait for the answer; kill the process when cancelled.

        Raises:
            EvaluatorError: the evaluator is at fault.
            SandboxUnavailableError: the sandbox is.
            ProcessLostError: the process died.
            HungError: no answer within `timeout` seconds; the process was killed.
        """
        await self.start()
        return await self._exchange(request, timeout)

    async def kill(self) -> None:
        """Kill the process and everything below it, and wait for its end. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(asyncio.to_thread(process.wait))
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        if self._log is not None:
            self._log.close()
        self._reader = self._writer = self._log = None

    async def close(self) -> None:
        """End the process for good, in good order where it is idle. Safe to call twice."""
        self._closed = True
        process = self._process
        if process is not None and self._writer is not None:
            # The end of its socket tells it to close its sandbox and leave.
            self._writer.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _LEAVE_SECONDS)
        await self.kill()

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        log_read, log_write = os.pipe()
        try:
            # Started from the event loop's own thread on purpose: the kernel ends the process when
            # the thread that started it ends.
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "breeder.evaluation.process"),
                    *(str(theirs.fileno()), str(os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log_write,
                stderr=log_write,
                pass_fds=(theirs.fileno(),),
                env=dict(self._settings.environment),
                cwd=self._settings.plan.folder,
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(log_write)
        self._log = _Log(log_read)
        self._reader, self._writer = await asyncio.open_connection(sock=ours)

    async def _exchange(self, request: Request, timeout: float) -> Reply:
        process, reader, writer = self._process, self._reader, self._writer
        if process is None or reader is None or writer is None:
            raise ProcessLostError("it was not started")
        used = tree_cpu_seconds(process.pid)
        try:
            async with asyncio.timeout(timeout):
                writer.write(protocol.frame(request))
                await writer.drain()
                header = await reader.readexactly(protocol.HEADER_BYTES)
                body = await reader.readexactly(int.from_bytes(header, "big"))
        except TimeoutError:
            used = tree_cpu_seconds(process.pid) - used
            await self.kill()
            raise HungError(max(used, 0.0)) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            log = self._log
            last = log.last_line() if log is not None else ""
            await self.kill()
            raise ProcessLostError(last or "it printed nothing") from None
        except BaseException:
            await self.kill()
            raise
        reply = protocol.read_reply(body)
        if isinstance(reply, Refused):
            fault = EvaluatorError if reply.kind == "evaluator" else SandboxUnavailableError
            raise fault(reply.message)
        return reply


class _Log:
    """Drains what an evaluator process prints and remembers the end of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._tail = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def last_line(self) -> str:
        """The last non-empty line printed, or an empty string."""
        self._read()
        lines = self._tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """Stop reading."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, 65_536)
        except BlockingIOError:
            return
        self._tail = (self._tail + chunk)[-_LOG_BYTES:]
        if not chunk:
            self._loop.remove_reader(self._descriptor)


def environment(names: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an evaluator process: little, and no secrets.

    Args:
        names: environment variables that the task declares; passed on where they are set.
    """
    passed = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "XDG_CACHE_HOME", "PYTHONPATH", *names)
    kept = {name: os.environ[name] for name in passed if name in os.environ}
    if "PYTHONPATH" in kept:
        # The process runs in the task folder, where relative entries would mean something else.
        entries = kept["PYTHONPATH"].split(os.pathsep)
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in entries)
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    # One slot is one core: numeric libraries that start a thread per core would fight each other.
    # A fixed hash seed makes the order of sets of strings repeatable.
    return {**dict.fromkeys(threads, "1"), "PYTHONHASHSEED": "0", **kept}
