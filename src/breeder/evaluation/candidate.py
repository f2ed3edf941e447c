"""What the author of an evaluate.py works with: `Candidate`, `Result`, `InvalidAnswer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from breeder.evaluation.sandbox import CandidateFailedError
from breeder.measurement.comparison import Spent

__all__ = ["Batch", "Candidate", "CandidateFailedError", "InvalidAnswerError", "Result"]


class InvalidAnswerError(Exception):
    """Raise it in evaluate.py when the candidate's answer breaks the rules; say how."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluate function may return in place of a plain mapping of metrics.

    Attributes:
        metrics: name -> number.
        artifacts: name -> text shown to proposers and people (the worst instance, a profile, ...).
        construction: data (as for `call`) to keep as the artefact that earned these metrics.
        intervals: 95 % intervals (low, high) around metrics that were measured or sampled; a task
            with `[measured]` gives one for its metric, and decisions are made on it.
    """

    metrics: Mapping[str, float]
    artifacts: Mapping[str, str] = field(default_factory=dict)
    construction: Any = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Batch(Protocol):
    """Calls that lie ready in a candidate's memory."""

    def run(self) -> Spent:
        """Make every call once, in order, and return what the candidate's process tree used.

        The clock is read by the evaluator, before the word to start is sent and after the answer
        has come; nothing but that word and an empty answer travels meanwhile. A second `run` makes
        the same calls into freshly poisoned outputs.

        Raises:
            CandidateFailedError: it failed, or its process tree used noticeable CPU time outside
                of `run` (threads left running, work done while inputs arrive or outputs are read).
        """
        ...

    def output(self, index: int) -> Any:
        """What call number `index` answered, as `call` would give it. Fetched after `run`."""
        ...

    def arguments(self, index: int) -> list[Any]:
        """The arguments of call `index` as they lie in the candidate's memory after `run`.

        Compared with what was sent they show whether the candidate wrote into its inputs.
        """
        ...


class Candidate(Protocol):
    """A candidate program as evaluate.py sees it: it answers calls with data."""

    @property
    def files(self) -> Mapping[str, str]:
        """The program's evolved files: path -> text."""
        ...

    @property
    def seed(self) -> int:
        """The seed of this evaluation."""
        ...

    @property
    def construction(self) -> Any:
        """The best artefact so far as data, or None."""
        ...

    @property
    def to_beat(self) -> float | None:
        """What `[measured] metric` must exceed (or undercut) to matter; None when nothing is known.

        The champion's confirmed value; in the search what the next challenger has for sure, if that
        is more. An evaluator may stop measuring as soon as it is clear that
        the candidate does not reach it (`measurement.compare(..., against=...)`).
        """
        ...

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the candidate's process tree so far, measured outside of it."""
        ...

    def call(
        self,
        function: str,
        *arguments: Any,
        cpu_seconds: float | None = None,
        wall_seconds: float | None = None,
    ) -> Any:
        """Call a function of the candidate and return the data that it answers.

        Arguments and answers: None, bool, int, float, str, bytes, list, dict with string keys,
        numpy arrays. The program is started at the first call. In `command` mode `function` is
        passed as the only argument of the command, the arguments as a JSON array on stdin, and the
        answer is read as JSON from stdout.

        Raises:
            CandidateFailedError: whatever the candidate did wrong.
        """
        ...

    def prepare(self, function: str, calls: Sequence[Sequence[Any]]) -> Batch:
        """Lay out calls in the candidate's memory, to be run together under a clock outside of it.

        Every call has arguments and outputs of its own; output arrays are filled with NaN (or -1).
        Nothing of the candidate runs here. Compiled functions get their arguments in memory that
        the evaluator shares with them, which it fills right before each `run`. The batch is gone
        with the next `prepare`.

        Raises:
            CandidateFailedError: as for `call`.
        """
        ...

    def beside(self, files: Mapping[str, str]) -> Candidate:
        """Another program of the task in a sandbox of its own, to be measured next to this one.

        For the task's trusted baselines and for comparing two candidates; equal files give the
        same running program for as long as the evaluator process lives, so a baseline is compiled
        once. It has this candidate's limits, and a budget of its own.
        """
        ...

    def restart(self) -> None:
        """End the candidate's process; the next call starts a fresh one."""
        ...

    def exchange(self, other: Candidate) -> None:
        """Exchange sandboxes with a program that runs beside this one; both start afresh.

        Sandboxes of one kind differ in where their memory lies, which all programs in them inherit
        and which shows in their speed. A comparison lets both programs run in either, and exchanges
        them back in the end.
        """
        ...
