"""What the author of an evaluate.py works with: `Candidate`, `Result`, `InvalidAnswer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from breeder.evaluation.sandbox import CandidateFailedError

__all__ = ["Candidate", "CandidateFailedError", "InvalidAnswerError", "Result"]


class InvalidAnswerError(Exception):
    """Raise it in evaluate.py when the candidate's answer breaks the rules; say how."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluate function may return in place of a plain mapping of metrics.

    Attributes:
        metrics: name -> number.
        artifacts: name -> text shown to proposers and people (the worst instance, a profile, ...).
        construction: data (as for `call`) to keep as the artefact that earned these metrics.
    """

    metrics: Mapping[str, float]
    artifacts: Mapping[str, str] = field(default_factory=dict)
    construction: Any = None


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

    def restart(self) -> None:
        """End the candidate's process; the next call starts a fresh one."""
        ...
