"""Programs that a model has written and nobody has evaluated yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """A program from an answer.

    Attributes:
        files: every evolved file, path -> full text.
        parents: ids of the programs that it was made from, the main parent first.
        parent_fitness: fitness of the main parent.
        note: one line on what was changed.
        form: the form of edit that was asked for.
        credit: what its prompt was made with, for those who learn from the outcome; plain data.
    """

    files: dict[str, str]
    parents: tuple[str, ...]
    parent_fitness: float
    note: str = ""
    form: str = ""
    credit: dict[str, Any] = msgspec.field(default_factory=dict)


class SampleBuffer:
    """Keeps samples until they are taken: they are paid for.

    A sample goes to a draw of its own parent first; other draws get the oldest one.
    """

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, samples: Iterable[Sample]) -> None:
        """Keep samples."""
        self._samples.extend(samples)

    def take(self, parent: str) -> Sample | None:
        """Take out a sample for a draw of `parent`; None when there is none at all."""
        if not self._samples:
            return None
        found = next((s for s in self._samples if s.parents[0] == parent), self._samples[0])
        self._samples.remove(found)
        return found

    def held(self) -> tuple[Sample, ...]:
        """What is kept, oldest first."""
        return tuple(self._samples)
