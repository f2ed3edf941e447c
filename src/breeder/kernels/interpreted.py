"""Tasks whose programs are written for a GPU: checked in an interpreter, timed nowhere.

Candidates run in a sandbox, which shows them no GPU. What they compute can be checked there, by the
rules of the native task for the same operation; how fast they are cannot be found out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np

from breeder.errors import EvaluatorError
from breeder.evaluation import Candidate, Result
from breeder.evaluation.candidate import Batch, InvalidAnswerError
from breeder.kernels.inputs import Inputs
from breeder.kernels.kernel import Call, Kernel
from breeder.kernels.timed_task import TimedTask

_GPU = Path("/dev/nvidiactl")
_LEAST_ROW = 256  # elements that a row counts for at least: interpreting one has its own cost


class Prepares(Protocol):
    """What can be called: a `Candidate`, or a program of ours in this process."""

    def prepare(self, function: str, calls: Sequence[Sequence[Any]]) -> Batch:
        """Lay out calls, see `Candidate.prepare`."""
        ...


@dataclass(frozen=True, slots=True)
class Checks:
    """What a function is held to.

    Attributes:
        kernel: the function, its inputs and its reference.
        quick: cases that every program is checked on.
        verified: those that only a verification tries.
        unlisted: draws further ones.
        elements: how large a case is, in elements that an interpreter goes through.
    """

    kernel: Kernel[Any]
    quick: Sequence[Any]
    verified: Sequence[Any]
    unlisted: Callable[[np.random.Generator], Sequence[Any]]
    elements: Callable[[Any], int]

    @classmethod
    def of(cls, task: TimedTask[Any]) -> list[Checks]:
        """What a native task holds its functions to."""
        return [
            cls(
                kernel,
                [one for one in task.cases.quick if one.function in ("", name)],
                [one for one in task.cases.verified if one.function in ("", name)],
                task.cases.unlisted,
                lambda case: rows_size(case.shape),
            )
            for name, kernel in task.kernels.items()
        ]


class InterpretedTask:
    """The functions that such a task's evaluate.py hands to the engine: `quick` and `evaluate`.

    Args:
        checks: of each function of the program.
        most: elements of a case, beyond which interpreting it takes too long.
        remedy: what a user can do to have a program timed, in the imperative.
    """

    def __init__(self, checks: Sequence[Checks], most: int, remedy: str) -> None:
        self.checks, self._most, self._remedy = tuple(checks), most, remedy

    def quick(self, candidate: Candidate) -> Result:
        """Small, odd and extreme inputs, every output checked."""
        inputs, count = Inputs(), 0
        for one in self.checks:
            for case in one.quick:
                fault = fault_of(candidate, one.kernel, case, inputs)
                if fault:
                    raise InvalidAnswerError(f"{one.kernel.function} on {case}: {fault}")
                count += 1
        return Result({"right_cases": float(count)})

    def evaluate(self, candidate: Candidate) -> NoReturn:
        """Say why nothing is timed.

        Raises:
            EvaluatorError: always.
        """
        where = "a sandbox shows programs none" if _GPU.exists() else "there is no GPU here"
        raise EvaluatorError(
            f"right in every quick case, but times of such programs mean something on a GPU only, "
            f"and {where}; {self._remedy}"
        )

    def cases(self, inputs: Inputs) -> Iterator[tuple[Any, Kernel[Any]]]:
        """All that a verification checks and an interpreter is fast enough for."""
        for one in self.checks:
            for case in (*one.quick, *one.verified, *one.unlisted(inputs.rng)):
                if one.elements(case) <= self._most:
                    yield case, one.kernel


def rows_size(shape: Sequence[int]) -> int:
    """The size of a case of rows, see `Checks.elements`."""
    return shape[0] * max(math.prod(shape[1:]), _LEAST_ROW)


def fault_of(subject: Prepares, kernel: Kernel[Any], case: Any, inputs: Inputs) -> str:
    """What is wrong with one call of a kernel; empty when nothing is."""
    call = Call(kernel, case, inputs)
    batch = subject.prepare(kernel.function, [call.arguments])
    batch.run()
    return call.fault(batch.output(0), batch.arguments(0))
