"""Runs a program that ships with breeder in this process, for tests of its task's evaluator.

One in C is compiled first; tests that use such tasks need a compiler.

Only for programs written by hand that stand in the repository: generated code never runs here.
"""

import copy
import importlib.util
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from breeder.evaluation.candidate import Candidate
from breeder.kernels import compiled
from breeder.measurement.comparison import Spent
from breeder.task import load_native


class DirectBatch:
    """A `Batch` of calls in this process; every run has copies of the arguments."""

    def __init__(self, target: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> None:
        self._target = target
        self._calls = calls
        self._used: list[list[Any]] = [list(call) for call in calls]
        self._answers: list[Any] = []

    def run(self) -> Spent:
        """Make every call once."""
        self._used = copy.deepcopy([list(call) for call in self._calls])
        wall, cpu = time.perf_counter(), time.process_time()
        self._answers = [self._target(*arguments) for arguments in self._used]
        return Spent(time.process_time() - cpu, time.perf_counter() - wall)

    def output(self, index: int) -> Any:
        """What a call answered."""
        return self._answers[index]

    def arguments(self, index: int) -> list[Any]:
        """What a call's arguments are now."""
        return self._used[index]


class DirectCandidate:
    """A `Candidate` whose program, in Python or in C, is loaded from its task folder."""

    def __init__(
        self,
        folder: Path,
        *,
        construction: Any = None,
        seed: int = 0,
        to_beat: float | None = None,
    ) -> None:
        self._folder = folder
        task = load_native(folder)
        self.files: Mapping[str, str] = task.files
        self.construction = construction
        self.seed = seed
        self.to_beat = to_beat
        self.cpu_seconds = 0.0
        program = task.file.program
        path = folder / program.files[0]
        self.module: Any = None
        self._native = (
            compiled(path, program.compile_flags, program.functions)
            if path.suffix == ".c"
            else None
        )
        if self._native is not None:
            return
        sys.path.insert(0, str(folder))
        try:
            spec = importlib.util.spec_from_file_location(f"direct_{folder.name}", path)
            assert spec is not None
            assert spec.loader is not None
            self.module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self.module)
        finally:
            sys.path.remove(str(folder))

    def call(self, function: str, *arguments: Any, **_limits: float | None) -> Any:
        """Call a function of the program."""
        begin = time.process_time()
        try:
            if self._native is not None:
                return self._native.call(function, *arguments)
            return getattr(self.module, function)(*arguments)
        finally:
            self.cpu_seconds += time.process_time() - begin

    def prepare(self, function: str, calls: Sequence[Sequence[Any]]) -> DirectBatch:
        """Lay out calls of a function of the program."""
        return DirectBatch(getattr(self.module, function), calls)

    def beside(self, files: Mapping[str, str]) -> Candidate:
        """The program of the task folder itself, which is all that may run here."""
        assert files == self.files
        return DirectCandidate(self._folder, seed=self.seed)

    def restart(self) -> None:
        """Nothing to restart."""
