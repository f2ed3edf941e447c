"""The contract of a sandbox: runs one hostile program at a time and carries data to and from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from breeder.core import Cost, Failure, Limits, NativeFunction

if TYPE_CHECKING:
    # This module is inside the sandbox too, where the package `measurement` is not.
    from breeder.measurement.comparison import Spent

__all__ = [
    "CandidateFailedError",
    "Limits",
    "NativeFunction",
    "ProgramSpec",
    "Sandbox",
    "SandboxedBatch",
    "SandboxedProgram",
]


class CandidateFailedError(Exception):
    """The candidate did something wrong; carries the `Failure`.

    Evaluators may let it pass (it becomes the evaluation's failure) or catch it.
    """

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(str(failure))


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """What the sandbox is to run.

    Attributes:
        files: path -> content of every file, evolved and read-only, written to the scratch folder.
        main: the file that is imported, compiled or run.
        mode: `python` (imported, functions called), `native` (compiled to a shared library,
            functions called) or `command` (run once per call, data over stdin and stdout).
        functions: signatures; of all functions for `native`, of those that write into arrays for
            `python`.
        compile_command: for compiled languages, with `{output}` and the sources filled in.
        command: for `command` mode.
        seed: seeds Python's and numpy's global generators before the program is imported.
    """

    files: Mapping[str, str | bytes]
    main: str
    mode: Literal["python", "native", "command"]
    functions: Mapping[str, NativeFunction] = field(default_factory=dict)
    compile_command: Sequence[str] = ()
    command: Sequence[str] = ()
    seed: int = 0


class SandboxedBatch(Protocol):
    """Calls that lie ready in a program's memory; see `candidate.Batch` for what each does."""

    def run(self, *, wall_seconds: float) -> Spent:
        """Make every call once under the evaluator's clock.

        Raises:
            CandidateFailedError: as for `SandboxedProgram.call`; OUTSIDE_CLOCK when it works
                outside of `run`, or in other processes.
            RuntimeError: another batch was prepared since.
        """
        ...

    def output(self, index: int, *, wall_seconds: float) -> Any:
        """What a call answered."""
        ...

    def arguments(self, index: int, *, wall_seconds: float) -> list[Any]:
        """A call's arguments as they are now."""
        ...


class SandboxedProgram(Protocol):
    """One running program."""

    def call(self, function: str, *arguments: Any, cpu_seconds: float, wall_seconds: float) -> Any:
        """Call a function of the program with data and return the data that it answers.

        None, bool, int, float, str, bytes, lists, tuples (come back as lists), dicts with string
        keys and numpy arrays of numeric dtypes travel both ways; nothing else does.

        Raises:
            CandidateFailedError: for everything the candidate can do wrong. The program is dead
                after any failure but EXCEPTION, MISSING and a PROTOCOL failure that its worker
                reports (an answer that is not data); damage to the channel ends it, too. A later
                call of a dead program raises the same failure again.
            SandboxUnavailableError: the sandbox itself failed; the candidate is not to blame.
        """
        ...

    def prepare(
        self,
        function: str,
        calls: Sequence[Sequence[Any]],
        *,
        cpu_seconds: float,
        wall_seconds: float,
    ) -> SandboxedBatch:
        """Lay out calls in its memory; none of its functions runs before `SandboxedBatch.run`.

        Args:
            function: what is called.
            calls: the arguments of each call.
            cpu_seconds: what it may use from now on, runs included.
            wall_seconds: until the calls lie ready.

        Raises:
            CandidateFailedError: as for `call`.
            SandboxUnavailableError: its CPU time cannot be read on this system.
        """
        ...

    def output(self) -> str:
        """What it printed so far (both streams, the head and the tail when it is long)."""
        ...

    def cost(self) -> Cost:
        """CPU time of its whole process tree and wall time, measured from outside."""
        ...

    def close(self) -> None:
        """Kill every process of it and discard its files. Safe to call twice."""
        ...


class Sandbox(Protocol):
    """Runs one program at a time in isolation. One per slot.

    Guarantees for every program, whatever it does:
        * no network, not even loopback between programs; no view of home, keys, environment, the
          task folder, the evaluator, the store or other programs' files; no process of another;
        * limits of `Limits` hold for its whole process tree together;
        * when `close` returns, no process and no file of it is left;
        * it cannot influence what a later program in the same slot sees.
    """

    def start(self, spec: ProgramSpec, limits: Limits) -> SandboxedProgram:
        """Start a program: write its files, compile or import it.

        Raises:
            CandidateFailedError: SYNTAX, COMPILE, EXCEPTION at import, limits exceeded, ...
            SandboxUnavailableError: the sandbox itself cannot run.
        """
        ...

    def close(self) -> None:
        """Kill everything. Safe to call twice."""
        ...
