"""The evaluator's end of prepared calls of compiled functions: memory that both sides share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from breeder.core import Failure, FailureKind
from breeder.evaluation.batch import PreparedBatch, Worker
from breeder.evaluation.clock import Meter
from breeder.evaluation.layout import Layout, Place
from breeder.evaluation.limits import MIB
from breeder.evaluation.sandbox import CandidateFailedError

# What the worker may use outside of the runs, in nanoseconds. Generous, as there is nothing yet to
# compute with: several times the most that honest programs took beside eight busy processes.
_MAPPING = 5_000_000
_MAPPING_A_CALL = 20_000
_MAPPING_A_BYTE = 4
_ARMING = 2_000_000


class SharedBatch(PreparedBatch):
    """Calls of a compiled function, whose arrays this process writes and reads by itself.

    Arguments, scalars included, are written when the worker already waits for the word, so there is
    nothing to work on before. What was computed is in the memory when the run is over, or it is
    not: nothing that the program does to its worker or to its own view of the memory makes up for
    it later. What it uses while nothing is asked of it is judged.

    Args:
        worker: the program.
        meter: its clock.
        target: name of the function, and its types and what it returns; None when it has none.
        calls: arguments of each call.
        deadline: when everything must lie ready, on the monotonic clock.

    Raises:
        CandidateFailedError: as for `SandboxedProgram.prepare`.
    """

    def __init__(
        self,
        worker: Worker,
        meter: Meter,
        target: tuple[str, tuple[Sequence[str], str] | None],
        calls: Sequence[Sequence[Any]],
        deadline: float,
    ) -> None:
        super().__init__(worker, meter, len(calls))
        function, signature = target
        if signature is None:
            text = f"{function!r} has no declared signature"
            raise CandidateFailedError(Failure(FailureKind.MISSING, text))
        try:
            self._layout = layout = Layout(*signature, calls)
        except ValueError as error:
            text = f"arguments that do not fit {function}: {error}"
            raise CandidateFailedError(Failure(FailureKind.EXCEPTION, text)) from None
        self._memory = memory = worker.memory()
        if layout.bytes > memory.size:
            text = f"{layout.bytes // MIB} MiB of arguments, {memory.size // MIB} MiB are allowed"
            raise self._worker.fail(Failure(FailureKind.MEMORY, text))
        self._image = layout.image()
        memory.renew(layout.bytes)
        returned = 0 if layout.returned is None else layout.returned.offset
        plan = [layout.bytes, returned, self._size, layout.columns()]
        _, used = self._ask("prepare", plan, deadline, function=function, handle=memory.fileno())
        allowed = _MAPPING + self._size * _MAPPING_A_CALL + layout.bytes * _MAPPING_A_BYTE
        self._judge("prepare", used, allowed)

    def _arm(self, deadline: float) -> None:
        _, used = self._ask("arm", [], deadline)
        self._judge("arm", used, _ARMING)
        self._memory.write(self._image)

    def _output(self, index: int, deadline: float) -> Any:
        self._worker.raise_if_dead()
        places = [one for one in self._layout.calls[index] if isinstance(one, Place)]
        changed = [self._read(place) for place in places if place.direction]
        returned = self._layout.returned
        result = None if returned is None else self._read(returned)[index].item()
        self._settle("output")
        return [result, *changed] if changed else result

    def _arguments(self, index: int, deadline: float) -> list[Any]:
        self._worker.raise_if_dead()
        answer = []
        for one in self._layout.calls[index]:
            if not isinstance(one, Place):
                answer.append(one)
            elif one.direction == "out":
                answer.append([*one.shape])
            else:
                answer.append(self._read(one))
        self._settle("arguments")
        return answer

    def _read(self, place: Place) -> Any:
        return self._memory.read(place.offset, place.dtype, place.shape)

    def _settle(self, phase: str) -> None:
        """Judge what the program used until the memory was read."""
        self._raise(self._meter.idle())
        self._meter.phase = phase
