"""The candidate that evaluate.py talks to: a program in a sandbox, started at its first call."""

from __future__ import annotations

import dataclasses
import hashlib
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from breeder.core import Failure, FailureKind
from breeder.evaluation import wire
from breeder.evaluation.candidate import Candidate
from breeder.evaluation.protocol import Evaluate, ProgramPlan
from breeder.evaluation.sandbox import (
    CandidateFailedError,
    Limits,
    ProgramSpec,
    Sandbox,
    SandboxedBatch,
    SandboxedProgram,
)
from breeder.measurement.comparison import Spent

MAX_OUTPUT_CHARACTERS = 4_000


class LiveCandidate:
    """A `Candidate` over a sandbox.

    CPU and wall time are budgets per stage, shared by all calls of the stage; the wall budget
    counts only while the candidate works. Limits given to `call` can only lower what is left.

    Args:
        sandbox: where it runs.
        program: how programs of the task are run.
        limits: what an evaluation may use.
        request: the evaluation.
        support: path -> content of the read-only files.
        neighbours: gives the candidate for files to run beside this one, with a stage's CPU and
            wall seconds; None where there are none.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        program: ProgramPlan,
        limits: Limits,
        request: Evaluate,
        support: Mapping[str, str | bytes],
        neighbours: Callable[[Mapping[str, str], float, float], LiveCandidate] | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._neighbours = neighbours
        self._mode = program.mode
        self._limits = limits
        self._files = dict(request.files)
        self._seed = request.seed
        self._to_beat = request.to_beat
        self._packed = request.construction
        self._construction: Any = None
        self._spec = ProgramSpec(
            files={**support, **request.files},
            main=program.main,
            mode=program.mode,
            functions=program.functions,
            compile_command=program.compile_command,
            command=program.command,
            seed=seed_of_program(request.seed),
        )
        self._program: SandboxedProgram | None = None
        self._cpu_of_ended = 0.0
        self._output_of_ended = ""
        self._stage = (limits.cpu_seconds, limits.wall_seconds)
        self._cpu_allowed, self._wall_left = self._stage
        self._reaped_by_sandbox = 0.0
        self.failed = False  # since its process was started

    @property
    def files(self) -> Mapping[str, str]:
        """The program's evolved files: path -> text."""
        return self._files

    @property
    def seed(self) -> int:
        """The seed of this evaluation."""
        return self._seed

    @property
    def construction(self) -> Any:
        """The best artefact so far as data, or None."""
        if self._packed is not None:
            self._construction, self._packed = wire.decode(self._packed), None
        return self._construction

    @property
    def to_beat(self) -> float | None:
        """What `[measured] metric` must exceed to matter; None when nothing is known."""
        return self._to_beat

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the candidate's process trees so far, measured outside of them."""
        running = self._program.cost().cpu_seconds if self._program is not None else 0.0
        return self._cpu_of_ended + running

    @property
    def reaped_cpu_seconds(self) -> float:
        """CPU time of child processes that the sandbox itself waited for on this thread.

        Part of `cpu_seconds`; a caller that adds up its own children takes it off.
        """
        return self._reaped_by_sandbox

    def begin_stage(self, cpu_seconds: float, wall_seconds: float) -> None:
        """Allow this much from now on, over all calls together."""
        self._stage = (cpu_seconds, wall_seconds)
        self._cpu_allowed = self.cpu_seconds + cpu_seconds
        self._wall_left = wall_seconds

    def call(
        self,
        function: str,
        *arguments: Any,
        cpu_seconds: float | None = None,
        wall_seconds: float | None = None,
    ) -> Any:
        """Call a function of the candidate and return the data that it answers.

        Raises:
            CandidateFailedError: whatever the candidate did wrong.
        """
        with self.counted():
            program = self._running()
        with self.counted():
            return program.call(
                function,
                *arguments,
                cpu_seconds=self._least(cpu_seconds, self._cpu_left()),
                wall_seconds=self._least(wall_seconds, self.checked_wall_left()),
            )

    def prepare(self, function: str, calls: Sequence[Sequence[Any]]) -> LiveBatch:
        """Lay out calls in the candidate's memory, see `Candidate.prepare`.

        Raises:
            CandidateFailedError: as for `call`.
            ValueError: the program is a command, which can only be called.
        """
        if self._mode == "command":
            raise ValueError("the calls of a program of mode 'command' cannot be prepared")
        with self.counted():
            program = self._running()
        with self.counted():
            batch = program.prepare(
                function,
                calls,
                cpu_seconds=self._cpu_left(),
                wall_seconds=self.checked_wall_left(),
            )
        return LiveBatch(self, batch)

    def beside(self, files: Mapping[str, str]) -> LiveCandidate:
        """Another program of the task in a sandbox of its own, see `Candidate.beside`.

        Raises:
            ValueError: `files` are not the task's evolved files, or this one is itself a neighbour.
        """
        if self._neighbours is None:
            raise ValueError("only the candidate that is evaluated has programs beside it")
        if set(files) != set(self._files):
            raise ValueError(f"a program of this task has the files {', '.join(self._files)}")
        return self._neighbours(files, *self._stage)

    def restart(self) -> None:
        """End the candidate's process; the next call starts a fresh one."""
        if self._program is None:
            return
        program, self._program = self._program, None
        self.failed = False
        with self.counted():
            self._output_of_ended = self._joined(program.output())
            program.close()
        self._cpu_of_ended += program.cost().cpu_seconds

    def exchange(self, other: Candidate) -> None:
        """Exchange sandboxes with a program beside it, see `Candidate.exchange`.

        Raises:
            ValueError: `other` has no sandbox to give.
        """
        if not isinstance(other, LiveCandidate):
            raise ValueError("a candidate exchanges sandboxes with programs beside it only")
        self.restart()
        other.restart()
        self._sandbox, other._sandbox = other._sandbox, self._sandbox

    def close(self) -> None:
        """End the candidate's process for good. Safe to call twice."""
        self.restart()

    def output(self) -> str:
        """The tail of what all its processes printed."""
        return self._joined(self._program.output() if self._program is not None else "")

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the block's wall time as the candidate's, and a failure in it as its failure."""
        begin, reaped = time.monotonic(), children_cpu_seconds()
        try:
            yield
        except CandidateFailedError:
            self.failed = True
            raise
        finally:
            self._wall_left -= time.monotonic() - begin
            self._reaped_by_sandbox += children_cpu_seconds() - reaped

    def _running(self) -> SandboxedProgram:
        if self._program is None:
            self._check_size()
            limits = dataclasses.replace(
                self._limits,
                cpu_seconds=self._cpu_left(),
                wall_seconds=self.checked_wall_left(),
            )
            self._program = self._sandbox.start(self._spec, limits)
        return self._program

    def _check_size(self) -> None:
        for name, text in self._files.items():
            size = len(text.encode())
            if size > self._limits.source_kib * 1024:
                detail = f"{name} has {size >> 10} KiB, {self._limits.source_kib} KiB are allowed"
                raise CandidateFailedError(Failure(FailureKind.SYNTAX, detail))

    def _cpu_left(self) -> float:
        left = self._cpu_allowed - self.cpu_seconds
        if left <= 0:
            raise CandidateFailedError(
                Failure(FailureKind.CPU_TIME, "the stage's CPU time is used up")
            )
        return left

    def checked_wall_left(self) -> float:
        """What is left of the stage's wall time.

        Raises:
            CandidateFailedError: nothing is.
        """
        if self._wall_left <= 0:
            raise CandidateFailedError(
                Failure(FailureKind.WALL_TIME, "the stage's wall time is used up")
            )
        return self._wall_left

    @staticmethod
    def _least(asked: float | None, left: float) -> float:
        return max(left if asked is None else min(asked, left), 1e-3)

    def _joined(self, text: str) -> str:
        return (self._output_of_ended + text)[-MAX_OUTPUT_CHARACTERS:]


class LiveBatch:
    """A `Batch` whose runs are paid from its candidate's budget."""

    def __init__(self, candidate: LiveCandidate, batch: SandboxedBatch) -> None:
        self._candidate = candidate
        self._batch = batch

    def run(self) -> Spent:
        """Make every call once under the evaluator's clock, see `Batch.run`."""
        with self._candidate.counted():
            return self._batch.run(wall_seconds=self._candidate.checked_wall_left())

    def output(self, index: int) -> Any:
        """What call number `index` answered."""
        with self._candidate.counted():
            return self._batch.output(index, wall_seconds=self._candidate.checked_wall_left())

    def arguments(self, index: int) -> list[Any]:
        """The arguments of call number `index` as they are now."""
        with self._candidate.counted():
            return self._batch.arguments(index, wall_seconds=self._candidate.checked_wall_left())


def children_cpu_seconds() -> float:
    """CPU time of all child processes of this process that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seed_of_program(seed: int) -> int:
    """Seed of the program's own generators: follows from the evaluation's, never the other way.

    A program can read it from the state of its generators. With the evaluation's seed it could draw
    the instances that the evaluator draws.
    """
    digest = hashlib.sha256(f"program {seed}".encode()).digest()
    return int.from_bytes(digest[:6], "big")
