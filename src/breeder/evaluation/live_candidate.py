"""The candidate that evaluate.py talks to: a program in a sandbox, started at its first call."""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from breeder.core import Failure, FailureKind
from breeder.evaluation import wire
from breeder.evaluation.protocol import Evaluate, ProgramPlan
from breeder.evaluation.sandbox import (
    CandidateFailedError,
    Limits,
    ProgramSpec,
    Sandbox,
    SandboxedProgram,
)

MAX_OUTPUT_CHARACTERS = 4_000


class LiveCandidate:
    """A `Candidate` over a sandbox.

    CPU and wall time are budgets per stage, shared by all calls of the stage; the wall budget
    counts only while the candidate works. Limits given to `call` can only lower what is left.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        program: ProgramPlan,
        limits: Limits,
        request: Evaluate,
        support: Mapping[str, str | bytes],
    ) -> None:
        self._sandbox = sandbox
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
            seed=request.seed,
        )
        self._program: SandboxedProgram | None = None
        self._cpu_of_ended = 0.0
        self._output_of_ended = ""
        self._cpu_allowed = limits.cpu_seconds
        self._wall_left = limits.wall_seconds
        self._reaped_by_sandbox = 0.0

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
        with self._counted():
            program = self._running()
        with self._counted():
            return program.call(
                function,
                *arguments,
                cpu_seconds=self._least(cpu_seconds, self._cpu_left()),
                wall_seconds=self._least(wall_seconds, self._checked_wall_left()),
            )

    def restart(self) -> None:
        """End the candidate's process; the next call starts a fresh one."""
        if self._program is None:
            return
        program, self._program = self._program, None
        with self._counted():
            self._output_of_ended = self._joined(program.output())
            program.close()
        self._cpu_of_ended += program.cost().cpu_seconds

    def close(self) -> None:
        """End the candidate's process for good. Safe to call twice."""
        self.restart()

    def output(self) -> str:
        """The tail of what all its processes printed."""
        return self._joined(self._program.output() if self._program is not None else "")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        begin, reaped = time.monotonic(), children_cpu_seconds()
        try:
            yield
        finally:
            self._wall_left -= time.monotonic() - begin
            self._reaped_by_sandbox += children_cpu_seconds() - reaped

    def _running(self) -> SandboxedProgram:
        if self._program is None:
            self._check_size()
            limits = dataclasses.replace(
                self._limits,
                cpu_seconds=self._cpu_left(),
                wall_seconds=self._checked_wall_left(),
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

    def _checked_wall_left(self) -> float:
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


def children_cpu_seconds() -> float:
    """CPU time of all child processes of this process that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
