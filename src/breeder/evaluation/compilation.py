"""Prepares a program for its worker: checks its files, compiles it in the sandbox where needed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from breeder.core import Cost, Failure, FailureKind
from breeder.errors import SandboxUnavailableError
from breeder.evaluation import native_loop
from breeder.evaluation.limits import MIB
from breeder.evaluation.program import RunningProgram
from breeder.evaluation.sandbox import CandidateFailedError, Limits, ProgramSpec

_LIBRARY = "program.so"
_LOOPS = "breeder_loops.so"
_EXECUTABLE = "program"
_OUTPUT = "{output}"
_CACHED_BINARIES = 32


class Binaries:
    """The binaries of the last programs that were compiled, for sandboxes of one process to share.

    Each is found by everything that it was compiled from, so one program never gets another's.
    """

    def __init__(self) -> None:
        self._binaries: OrderedDict[bytes, bytes] = OrderedDict()

    def find(self, key: bytes) -> bytes | None:
        """Return the binary, or None when it is not kept."""
        if key in self._binaries:
            self._binaries.move_to_end(key)
        return self._binaries.get(key)

    def keep(self, key: bytes, binary: bytes) -> None:
        """Keep a binary, in place of the one that was used longest ago when there are many."""
        self._binaries[key] = binary
        if len(self._binaries) > _CACHED_BINARIES:
            self._binaries.popitem(last=False)


class Compiler:
    """Starts programs of every mode, compiled ones with the binary that is kept, if one is.

    Args:
        run: starts an empty worker under limits; what was running in the sandbox before is ended.
        binaries: where binaries are kept; None for this sandbox alone.
    """

    def __init__(
        self, run: Callable[[Limits], RunningProgram], binaries: Binaries | None = None
    ) -> None:
        self._run = run
        self._binaries = binaries or Binaries()

    def start(self, spec: ProgramSpec, limits: Limits) -> RunningProgram:
        """Compile where needed, start a worker, have it load the program.

        Raises:
            CandidateFailedError: SYNTAX, COMPILE or whatever happens while it is loaded.
            SandboxUnavailableError: the compiler fails where the program is not to blame.
            ValueError: a path in `spec` is not a relative path inside the scratch folder.
        """
        files = _encoded(spec, limits)
        cost = Cost()
        loaded: dict[str, Any] = {
            "files": files,
            "main": spec.main,
            "mode": spec.mode,
            "seed": spec.seed,
            "command": list(spec.command),
            "functions": {
                name: [list(one.arguments), one.returns] for name, one in spec.functions.items()
            },
            "max_answer_bytes": limits.answer_mib * MIB,
        }
        if spec.compile_command:
            output = _LIBRARY if spec.mode == "native" else _EXECUTABLE
            command = [word.replace(_OUTPUT, output) for word in spec.compile_command]
            binary, cost = self._compile(files, command, output, limits)
            loaded["files"] = files = {**files, output: binary}
            loaded["library"] = output
            if spec.mode == "native":
                loops, more = self._loops(spec, limits)
                loaded["files"], loaded["loops"] = {**files, _LOOPS: loops}, _LOOPS
                cost += more
        program = self._run(limits)
        program.load(loaded, cost)
        return program

    def _loops(self, spec: ProgramSpec, limits: Limits) -> tuple[bytes, Cost]:
        """The loops that make prepared calls: the same binary for all programs of a task."""
        files = {native_loop.SOURCE: native_loop.source(spec.functions).encode()}
        command = native_loop.command(spec.compile_command[0], _LOOPS)
        try:
            return self._compile(files, command, _LOOPS, limits)
        except CandidateFailedError as error:
            text = f"the loop that calls compiled functions cannot be compiled: {error.failure}"
            raise SandboxUnavailableError(text) from None

    def _compile(
        self, files: Mapping[str, bytes], command: list[str], output: str, limits: Limits
    ) -> tuple[bytes, Cost]:
        key = _key(files, command)
        kept = self._binaries.find(key)
        if kept is not None:
            return kept, Cost()
        seconds = limits.compile_seconds
        allowed = _compiler_limits(limits)
        program = self._run(allowed)
        try:
            program.load(
                {
                    "files": files, "mode": "compile", "seed": 0,
                    "command": command, "output": output,
                }
            )  # fmt: skip
            answer = program.call("compile", cpu_seconds=seconds, wall_seconds=allowed.wall_seconds)
            binary = bytes(answer.data)
        except CandidateFailedError as error:
            raise _compile_failure(error.failure) from None
        except AttributeError:  # only a compiler that was taken over answers something else
            raise _compile_failure(Failure(FailureKind.PROTOCOL, "no binary came back")) from None
        finally:
            program.close()
        self._binaries.keep(key, binary)
        return binary, program.cost()


def _compiler_limits(limits: Limits) -> Limits:
    """Compilers need several processes and more memory and disk than many programs may use."""
    return dataclasses.replace(
        limits,
        cpu_seconds=limits.compile_seconds,
        wall_seconds=2 * limits.compile_seconds,
        memory_mib=max(limits.memory_mib, 1024),
        scratch_mib=max(limits.scratch_mib, 128),
        file_mib=max(limits.file_mib, 64),
        processes=max(limits.processes, 16),
    )


def _compile_failure(failure: Failure) -> CandidateFailedError:
    if failure.kind is FailureKind.COMPILE:
        return CandidateFailedError(failure)
    return CandidateFailedError(Failure(FailureKind.COMPILE, f"while compiling: {failure}"))


def _encoded(spec: ProgramSpec, limits: Limits) -> dict[str, bytes]:
    files = {}
    for name, content in spec.files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{name!r} is not a path inside the scratch folder")
        try:
            files[name] = content.encode("utf-8") if isinstance(content, str) else content
        except UnicodeEncodeError:
            failure = Failure(FailureKind.SYNTAX, f"{name} is not valid text (lone surrogates)")
            raise CandidateFailedError(failure) from None
    size = len(files.get(spec.main, b""))
    if size > limits.source_kib * 1024:
        text = f"{spec.main} has {size // 1024} KiB, {limits.source_kib} KiB are allowed"
        raise CandidateFailedError(Failure(FailureKind.SYNTAX, text))
    return files


def _key(files: Mapping[str, bytes], command: list[str]) -> bytes:
    hasher = hashlib.sha256(repr(command).encode())
    for name, content in sorted(files.items()):
        hasher.update(repr((name, len(content))).encode() + content)
    return hasher.digest()
