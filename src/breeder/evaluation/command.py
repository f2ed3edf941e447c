"""Runs a program as a command, once per call, inside the sandbox: JSON in, JSON out."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from breeder.core import FailureKind
from breeder.evaluation.refusal import RefusedError

_MAX_ERROR_BYTES = 2000
_NOT_FOUND = (FileNotFoundError, PermissionError, NotADirectoryError)


class CommandProgram:
    """A command line.

    Args:
        command: program and arguments; the function's name is added as the last one.
        max_answer_bytes: most that is read from its stdout.
    """

    def __init__(self, command: Sequence[str], max_answer_bytes: int) -> None:
        self._command = list(command)
        self._max_answer_bytes = max_answer_bytes

    def call(self, function: str, arguments: list[Any]) -> Any:
        """Run the command with `arguments` as a JSON array on stdin; return its stdout as JSON.

        Arrays are passed as nested lists.

        Raises:
            RefusedError: EXIT for a status other than 0, CRASH for a signal, OUTPUT for too long
                an answer, PROTOCOL for one that is not JSON, MISSING when there is no command.
        """
        with tempfile.TemporaryFile() as stdin:
            stdin.write(json.dumps(arguments, default=_plain).encode())
            stdin.seek(0)
            status, out, err = self._run([*self._command, function], stdin)
        tail = err[-_MAX_ERROR_BYTES:].decode("utf-8", "replace").strip()
        if status < 0:
            raise RefusedError(FailureKind.CRASH, f"died of signal {-status}: {tail}")
        if status > 0:
            raise RefusedError(FailureKind.EXIT, f"left with exit status {status}: {tail}")
        try:
            return json.loads(out)
        except (ValueError, RecursionError) as error:
            detail = f"the answer is not JSON: {str(error)[:200]}"
            raise RefusedError(FailureKind.PROTOCOL, detail) from None

    def _run(self, command: list[str], stdin: Any) -> tuple[int, bytes, bytes]:
        try:
            with (
                tempfile.TemporaryFile() as errors,
                subprocess.Popen(
                    command, stdin=stdin, stdout=subprocess.PIPE, stderr=errors
                ) as process,
            ):
                assert process.stdout is not None
                out = process.stdout.read(self._max_answer_bytes + 1)
                if len(out) > self._max_answer_bytes:
                    process.kill()
                    detail = f"answered more than {self._max_answer_bytes} bytes"
                    raise RefusedError(FailureKind.OUTPUT, detail)
                status = process.wait()
                errors.seek(0)
                err = errors.read()
                sys.stderr.buffer.write(err)
                return status, out, err
        except _NOT_FOUND as error:
            detail = f"{command[0]!r} cannot be run: {error.strerror}"
            raise RefusedError(FailureKind.MISSING, detail) from None


class CompilerProgram:
    """A compiler's command line; `call` runs it and returns the file that it wrote."""

    def __init__(self, command: Sequence[str], output: str) -> None:
        self._command, self._output = list(command), output

    def call(self, function: str, arguments: list[Any]) -> Any:
        """Compile; returns the output file's bytes as an array of uint8.

        Raises:
            RefusedError: COMPILE with the first errors of the compiler.
        """
        try:
            done = subprocess.run(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except _NOT_FOUND as error:
            detail = f"the compiler {self._command[0]!r} cannot be run: {error.strerror}"
            raise RefusedError(FailureKind.COMPILE, detail) from None
        if done.returncode != 0:
            errors = done.stdout[:_MAX_ERROR_BYTES].decode("utf-8", "replace").strip()
            raise RefusedError(FailureKind.COMPILE, errors or f"status {done.returncode}")
        try:
            return np.fromfile(self._output, dtype=np.uint8)
        except OSError:
            raise RefusedError(FailureKind.COMPILE, "the compiler wrote no output") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")
