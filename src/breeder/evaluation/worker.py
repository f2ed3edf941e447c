"""The first process that a candidate's code runs in: loads the program, answers calls.

Nothing it says is believed: it shares its memory with the candidate. What it writes to its channel
is data about the candidate, and its own limits, life and cost are watched from outside.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import random
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np

from breeder.core import FailureKind
from breeder.evaluation import command, native, wire
from breeder.evaluation.limits import CHANNEL_LOST_STATUS
from breeder.evaluation.prepared import Batch, NativeBatch, PythonBatch, declared
from breeder.evaluation.refusal import RefusedError

_MAX_MESSAGE = 600
_MAX_FRAMES = 6
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # not on macOS
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})


class Program(Protocol):
    """A loaded program."""

    def call(self, function: str, arguments: list[Any]) -> Any:
        """Call a function; raises whatever the program raises, or `RefusedError`."""
        ...


class Message(NamedTuple):
    """One request, as `program.RunningProgram` sends it.

    Attributes:
        ticket: comes back with the answer.
        operation: `load`, `call`, `prepare`, or for what was prepared `arm`, `output`, `arguments`.
        function: name of a function, for `call` and `prepare`.
        arguments: of the call, or of the operation.
        handle: the descriptor that came with it, or -1.
    """

    ticket: int
    operation: str
    function: str
    arguments: list[Any]
    handle: int = -1


class Worker:
    """Serves one program over a channel.

    Args:
        channel: the worker's end of the data socket.
        scratch: the folder for the program's files.
    """

    def __init__(self, channel: socket.socket, scratch: str) -> None:
        self._channel = channel
        self._scratch = scratch
        self._own_pid = os.getpid()
        self._program: Program | None = None
        self._batch: Batch | None = None

    def answer(self) -> None:
        """Answer one request; after `arm`, wait for the word to run the batch, and run it."""
        message = _receive(self._channel)
        armed = False
        try:
            body = _encode([message.ticket, "ok", self._perform(message)])
            armed = message.operation == "arm"
        except SystemExit as left:
            _exit(left)
        except BaseException as error:
            body = self._failure(message.ticket, error)
        if message.handle >= 0:
            with contextlib.suppress(OSError):  # the program may have closed it
                os.close(message.handle)
        if os.getpid() != self._own_pid:
            _flush()
            os._exit(0)  # a fork of the program came back here; only the first may answer
        _flush()
        _send(self._channel, body)
        if armed:
            self._run()

    def _perform(self, message: Message) -> Any:
        if self._program is None:
            self._program = _load(message.arguments[0], self._scratch)
            return None
        if message.operation == "call":
            return self._program.call(message.function, message.arguments)
        if message.operation == "prepare":
            self._batch = None  # its memory first
            self._batch = self._prepared(message)
            return None
        assert self._batch is not None
        return getattr(self._batch, message.operation)(*message.arguments)

    def _prepared(self, message: Message) -> Batch:
        if isinstance(self._program, PythonProgram):
            return self._program.prepare(message.function, *message.arguments)
        if isinstance(self._program, native.NativeProgram):
            return self._program.prepare(message.function, message.handle, message.arguments)
        raise RefusedError(FailureKind.PROTOCOL, "a command can only be called")

    def _run(self) -> None:
        """What happens between two readings of the clock."""
        if isinstance(self._batch, NativeBatch):
            self._batch.serve(self._channel.fileno())
            return
        assert isinstance(self._batch, PythonBatch)
        ticket = _read(self._channel, wire.TICKET_BYTES)
        failure = b""
        try:
            self._batch.run()
        except SystemExit as left:
            _exit(left)
        except BaseException as error:
            failure = wire.frame(self._failure(int.from_bytes(ticket, "little"), error))
        if os.getpid() != self._own_pid:
            os._exit(0)
        try:
            self._channel.sendall(ticket + (wire.FAILED + failure if failure else wire.DONE))
        except OSError:
            os._exit(CHANNEL_LOST_STATUS)

    def _failure(self, ticket: int, error: BaseException) -> bytes:
        kind, detail = _explain(error, self._scratch)
        return wire.encode([ticket, str(kind), detail])


def serve(descriptor: int, scratch: str) -> NoReturn:
    """Load the program that the channel names first, then answer calls. Never returns."""
    gc.enable()
    worker = Worker(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor), scratch)
    while True:
        worker.answer()


def _encode(answer: list[Any]) -> bytes:
    try:
        return wire.encode(answer)
    except wire.WireError as error:
        raise RefusedError(FailureKind.PROTOCOL, f"the answer cannot be sent: {error}") from None


def _receive(channel: socket.socket) -> Message:
    try:
        size = wire.HEADER.size
        header, handles, _, _ = socket.recv_fds(channel, size, 1, _CLOSE_ON_EXEC)
        header += _read(channel, size - len(header))
        message = wire.decode(_read(channel, wire.HEADER.unpack(header)[0]))
        return Message(*message, *handles)
    except (OSError, EOFError, wire.WireError, TypeError):
        os._exit(CHANNEL_LOST_STATUS)


def _read(channel: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        count = channel.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return buffer


def _send(channel: socket.socket, body: bytes) -> None:
    try:
        channel.sendall(wire.frame(body))
    except OSError:
        os._exit(CHANNEL_LOST_STATUS)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # The program may have closed or replaced its streams.
        with contextlib.suppress(Exception):
            stream.flush()


def _exit(left: SystemExit) -> NoReturn:
    code = left.code
    if code is None:
        code = 0
    elif not isinstance(code, int):
        sys.stderr.write(str(code)[:_MAX_MESSAGE] + "\n")
        code = 1
    _flush()
    os._exit(code & 0xFF)


def _load(spec: Mapping[str, Any], scratch: str) -> Program:
    try:
        _write_files(spec["files"], scratch)
    except OSError as error:
        raise RefusedError(FailureKind.DISK, f"its files do not fit: {error.strerror}") from None
    random.seed(spec["seed"])
    np.random.seed(spec["seed"] % 2**32)
    if spec["mode"] == "python":
        return PythonProgram(scratch, spec["main"], spec["functions"])
    if spec["mode"] == "native":
        library, loops = (os.path.join(scratch, spec[name]) for name in ("library", "loops"))
        return native.NativeProgram(library, spec["functions"], loops)
    if spec["mode"] == "compile":
        return command.CompilerProgram(spec["command"], spec["output"])
    return command.CommandProgram(spec["command"], spec["max_answer_bytes"])


def _write_files(files: Mapping[str, str | bytes], scratch: str) -> None:
    # Plain system calls: this is on the way of every program, before anything has warmed up.
    for name, content in files.items():
        path = os.path.join(scratch, name)
        if "/" in name:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        rest = memoryview(content.encode() if isinstance(content, str) else content)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.fchmod(descriptor, 0o755)  # some files are programs or scripts
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)


class PythonProgram:
    """A Python file imported as a module.

    Args:
        scratch: the folder for the program's files.
        main: the file.
        functions: signatures of those functions that write into arrays, see `prepared.declared`;
            others answer with what they return.

    Raises:
        RefusedError: SYNTAX when it cannot be parsed. What it raises while it is imported passes.
    """

    def __init__(
        self, scratch: str, main: str, functions: Mapping[str, tuple[Sequence[str], str]]
    ) -> None:
        self._functions = functions
        path = os.path.join(scratch, main)
        sys.path[:0] = dict.fromkeys((os.path.dirname(path), scratch))
        code = _compile(path, main)
        name = os.path.splitext(os.path.basename(main))[0]
        self._module = ModuleType(name)
        self._module.__file__ = path
        sys.modules.setdefault(name, self._module)
        exec(code, self._module.__dict__)

    def call(self, function: str, arguments: list[Any]) -> Any:
        """Call a function of the module."""
        return self._find(function)(*arguments)

    def prepare(self, function: str, packed: bytes) -> PythonBatch:
        """Lay out calls of a function of the module."""
        return PythonBatch(self._find(function), packed)

    def _find(self, function: str) -> Callable[..., Any]:
        target: Callable[..., Any] | None = getattr(self._module, function, None)
        if target is None:
            raise RefusedError(FailureKind.MISSING, f"there is no function {function!r}")
        if not callable(target):
            raise RefusedError(FailureKind.MISSING, f"{function!r} is not a function")
        if function in self._functions:
            return declared(target, self._functions[function][0])
        return target


def _compile(path: str, name: str) -> Any:
    try:
        with open(path, "rb") as file:
            source = file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"{name} is not UTF-8 (byte {error.start})"
        raise RefusedError(FailureKind.SYNTAX, detail) from None
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        detail = f"{name}, line {error.lineno}: {error.msg}"
        if error.text and error.text.strip():
            detail += f": {error.text.strip()[:200]}"
        raise RefusedError(FailureKind.SYNTAX, detail) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise RefusedError(FailureKind.SYNTAX, f"{name}: {str(error)[:200]}") from None


def _explain(error: BaseException, scratch: str) -> tuple[FailureKind, str]:
    """Return the kind of failure, and a short traceback that names the candidate's own lines."""
    if isinstance(error, RefusedError):
        return error.kind, error.detail
    kind = FailureKind.EXCEPTION
    if isinstance(error, MemoryError):
        kind = FailureKind.MEMORY
    elif isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        kind = FailureKind.DISK
    try:
        message = f"{type(error).__name__}: {error}"[:_MAX_MESSAGE]
        message = message.encode("utf-8", "replace").decode()
    except BaseException:  # its __str__ is the candidate's code
        message = type(error).__name__
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(scratch)
    ]
    lines = [
        f"{os.path.relpath(f.filename, scratch)}, line {f.lineno}, in {f.name}: {f.line}"[:300]
        for f in frames[-_MAX_FRAMES:]
    ]
    return kind, "\n".join([message, *reversed(lines)])
