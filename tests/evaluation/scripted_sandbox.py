"""A sandbox that isolates nothing: it calls the functions it was given, and counts made-up cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breeder.core import Cost, Failure, FailureKind
from breeder.evaluation.sandbox import CandidateFailedError, Limits, ProgramSpec
from breeder.measurement.comparison import Spent


class ScriptedBatch:
    """Every run uses the program's `cost`."""

    def __init__(
        self, program: "ScriptedProgram", function: str, calls: Sequence[Sequence[Any]]
    ) -> None:
        self.walls: list[float] = []
        self._program, self._function, self._calls = program, function, calls

    def run(self, *, wall_seconds: float) -> Spent:
        self.walls.append(wall_seconds)
        self._program.calls.append((self._function, 0.0, wall_seconds))
        return Spent(self._program._cost, self._program._cost)

    def output(self, index: int, *, wall_seconds: float) -> Any:
        return self._program._functions[self._function](*self._calls[index])

    def arguments(self, index: int, *, wall_seconds: float) -> list[Any]:
        return list(self._calls[index])


class ScriptedProgram:
    def __init__(self, functions: Mapping[str, Callable[..., Any]], cost: float) -> None:
        self._functions = functions
        self._cost = cost
        self.calls: list[tuple[str, float, float]] = []
        self.prepared: list[tuple[float, float]] = []
        self.closed = 0
        self.printed = ""

    def call(self, function: str, *arguments: Any, cpu_seconds: float, wall_seconds: float) -> Any:
        self.calls.append((function, cpu_seconds, wall_seconds))
        if function not in self._functions:
            raise CandidateFailedError(Failure(FailureKind.MISSING, function))
        self.printed += f"called {function}\n"
        return self._functions[function](*arguments)

    def prepare(
        self,
        function: str,
        calls: Sequence[Sequence[Any]],
        *,
        cpu_seconds: float,
        wall_seconds: float,
    ) -> ScriptedBatch:
        if function not in self._functions:
            raise CandidateFailedError(Failure(FailureKind.MISSING, function))
        self.prepared.append((cpu_seconds, wall_seconds))
        return ScriptedBatch(self, function, calls)

    def output(self) -> str:
        return self.printed

    def cost(self) -> Cost:
        return Cost(self._cost * len(self.calls))

    def close(self) -> None:
        self.closed += 1


class ScriptedSandbox:
    """Every started program uses `cost` CPU seconds a call."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]], cost: float = 0.5) -> None:
        self.functions = functions
        self.cost = cost
        self.started: list[tuple[ProgramSpec, Limits]] = []
        self.programs: list[ScriptedProgram] = []
        self.closed = False

    def start(self, spec: ProgramSpec, limits: Limits) -> ScriptedProgram:
        self.started.append((spec, limits))
        self.programs.append(ScriptedProgram(self.functions, self.cost))
        return self.programs[-1]

    def close(self) -> None:
        self.closed = True
