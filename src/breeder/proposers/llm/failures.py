"""What went wrong lately, and what was tried from a parent without gain: for prompts to avoid."""

from __future__ import annotations

from collections import deque

import msgspec

from breeder.proposers.llm.fences import line
from breeder.proposers.proposer import Outcome

_RECENT = 8
_PARENTS = 64
_NOTES = 6
_DETAIL = 160


class _Seen(msgspec.Struct):
    """A failure, as text, and how often in a row of recent ones."""

    text: str
    count: int = 1


class _State(msgspec.Struct):
    failures: list[_Seen] = []
    tried: dict[str, list[str]] = {}


class FailureLog:
    """Remembers recent failures and fruitless attempts. Bounded; deterministic.

    `learn` takes outcomes of any proposer; notes and details are foreign text and are kept as
    single short lines.
    """

    def __init__(self) -> None:
        self._failures: deque[_Seen] = deque(maxlen=_RECENT)
        self._tried: dict[str, list[str]] = {}

    def learn(self, outcome: Outcome) -> None:
        """Take note of a failed evaluation, or of a child no better than its parent."""
        evaluation, parents = outcome.evaluation, outcome.proposal.parents
        note = line(outcome.proposal.note, _DETAIL)
        if evaluation is None or not parents:
            return
        if evaluation.failure is not None:
            failure = evaluation.failure
            self._count(line(str(failure), _DETAIL))
            self._attempt(parents[0], note, f"failed ({failure.kind})")
        elif outcome.fitness is not None and outcome.fitness <= outcome.parent_fitness:
            change = outcome.fitness - outcome.parent_fitness
            self._attempt(parents[0], note, f"fitness {change:+.3g}" if change else "no change")

    def recent(self) -> tuple[str, ...]:
        """Recent failures, the latest last, repeated ones counted."""
        return tuple(f"{s.text} ({s.count} times)" if s.count > 1 else s.text
                     for s in self._failures)  # fmt: skip

    def tried(self, parent: str) -> tuple[str, ...]:
        """What was tried from the program with this id without gain, the latest last."""
        return tuple(self._tried.get(parent, ()))

    def state(self) -> bytes:
        """What must survive a stop."""
        return msgspec.msgpack.encode(_State(list(self._failures), self._tried))

    def restore(self, state: bytes) -> None:
        """Take up a state of an earlier process; tolerates `b""`."""
        if state:
            known = msgspec.msgpack.decode(state, type=_State)
            self._failures = deque(known.failures, maxlen=_RECENT)
            self._tried = known.tried

    def _count(self, text: str) -> None:
        for seen in self._failures:
            if seen.text == text:
                seen.count += 1
                self._failures.remove(seen)
                self._failures.append(seen)
                return
        self._failures.append(_Seen(text))

    def _attempt(self, parent: str, note: str, result: str) -> None:
        if not note:
            return
        notes = self._tried.pop(parent, [])
        entry = f"{note}: {result}"
        # Taken out and put in again, so that the parent drawn longest ago goes first.
        self._tried[parent] = [*(n for n in notes if n != entry), entry][-_NOTES:]
        while len(self._tried) > _PARENTS:
            del self._tried[next(iter(self._tried))]
