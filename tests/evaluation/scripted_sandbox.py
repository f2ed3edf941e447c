"""A sandbox that isolates nothing: it calls the functions it was given, and counts made-up cost."""

from collections.abc import Callable, Mapping
from typing import Any

from breeder.core import Cost, Failure, FailureKind
from breeder.evaluation.sandbox import CandidateFailedError, Limits, ProgramSpec


class ScriptedProgram:
    def __init__(self, functions: Mapping[str, Callable[..., Any]], cost: float) -> None:
        self._functions = functions
        self._cost = cost
        self.calls: list[tuple[str, float, float]] = []
        self.closed = 0
        self.printed = ""

    def call(self, function: str, *arguments: Any, cpu_seconds: float, wall_seconds: float) -> Any:
        self.calls.append((function, cpu_seconds, wall_seconds))
        if function not in self._functions:
            raise CandidateFailedError(Failure(FailureKind.MISSING, function))
        self.printed += f"called {function}\n"
        return self._functions[function](*arguments)

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
