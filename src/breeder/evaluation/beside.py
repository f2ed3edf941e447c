"""Programs that run beside candidates: baselines and rivals, each in a sandbox of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from breeder.evaluation.live_candidate import LiveCandidate
from breeder.evaluation.protocol import Evaluate
from breeder.evaluation.sandbox import Sandbox

MAX_SANDBOXES = 4
"""Most programs that run beside candidates at a time; each sandbox keeps an interpreter alive."""

Beside = Callable[[Mapping[str, str], float, float], LiveCandidate]


class Make(Protocol):
    """Makes the candidate of a request in a sandbox."""

    def __call__(
        self, sandbox: Sandbox, request: Evaluate, neighbours: Beside | None
    ) -> LiveCandidate:
        """Return it; nothing is started."""
        ...


class _Neighbour(NamedTuple):
    sandbox: Sandbox
    candidate: LiveCandidate


class Neighbours:
    """The programs beside the candidates of one evaluator process, kept while it lives.

    Args:
        make: makes their candidates.
        open_sandbox: opens another sandbox, by its number among them.
    """

    def __init__(self, make: Make, open_sandbox: Callable[[int], Sandbox]) -> None:
        self._make = make
        self._open = open_sandbox
        self._neighbours: OrderedDict[tuple[tuple[str, str], ...], _Neighbour] = OrderedDict()
        self._ended_cpu_seconds = 0.0

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all of them so far, but of processes that this one has waited for itself."""
        return self._ended_cpu_seconds + sum(
            _own(one.candidate) for one in self._neighbours.values()
        )

    def beside(
        self, files: Mapping[str, str], cpu_seconds: float, wall_seconds: float
    ) -> LiveCandidate:
        """Return the candidate with `files`, running if it ran; its budget begins anew.

        Raises:
            SandboxUnavailableError: no other sandbox can be opened.
        """
        key = tuple(sorted(files.items()))
        if key not in self._neighbours:
            request = Evaluate(dict(files), "search", None, 0, initial=False)
            sandbox = self._sandbox()
            self._neighbours[key] = _Neighbour(sandbox, self._make(sandbox, request, None))
        self._neighbours.move_to_end(key)
        candidate = self._neighbours[key].candidate
        if candidate.failed:
            candidate.restart()
        candidate.begin_stage(cpu_seconds, wall_seconds)
        return candidate

    def close(self) -> None:
        """End all of them, and their sandboxes. Safe to call twice."""
        while self._neighbours:
            _, (sandbox, candidate) = self._neighbours.popitem()
            candidate.close()
            sandbox.close()

    def _sandbox(self) -> Sandbox:
        """Return a sandbox for one more: a new one, or that of whom nobody asked for longest."""
        if len(self._neighbours) < MAX_SANDBOXES:
            return self._open(len(self._neighbours))
        _, (sandbox, candidate) = self._neighbours.popitem(last=False)
        candidate.close()
        self._ended_cpu_seconds += _own(candidate)
        return sandbox


def _own(candidate: LiveCandidate) -> float:
    return candidate.cpu_seconds - candidate.reaped_cpu_seconds
