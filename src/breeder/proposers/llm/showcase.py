"""The elites that prompts show before anything volatile: few, good, and seldom replaced.

An endpoint's prefix cache holds what consecutive prompts begin with, so a set that follows the
archive closely would be recomputed with every prompt. This one is renewed every so many prompts;
between renewals only a new champion enters, in the last place, behind which nothing stable stands.
For the same reason an elite for which a prompt had no room stays away from the next ones as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from breeder.core import Elite, Evaluation, Program

_CANDIDATES = 12
_DIFFERENT = 6
"""Lines, of both together, by which programs that are shown side by side should differ."""


_PAUSE = 8
"""Prompts from which an elite stays away after one that had no room for it."""


class _State(msgspec.Struct):
    shown: list[tuple[Program, Evaluation, float]] = []
    candidates: list[tuple[Program, Evaluation, float]] = []
    prompts: int = 0
    away: dict[str, int] = {}


class Showcase:
    """Keeps the best elites that were offered and decides which are shown.

    Args:
        size: how many are shown; 0 for none.
        every: prompts between renewals.
    """

    def __init__(self, size: int = 4, *, every: int = 32) -> None:
        self._size = size
        self._every = max(every, 1)
        self._candidates: dict[str, Elite] = {}
        self._shown: list[Elite] = []
        self._prompts = 0
        self._away: dict[str, int] = {}  # program -> number of the last prompt without it

    def offer(self, elites: Iterable[Elite], *, best: float = math.inf) -> None:
        """Make elites known. An elite that was ranked anew replaces what was known of it.

        Args:
            elites: drawn lately.
            best: the best fitness there is: what ranks above it was taken back since.
        """
        for elite in elites:
            # Constructions may be large and are not shown.
            bare = replace(elite, evaluation=replace(elite.evaluation, construction=None))
            self._candidates[elite.program.id] = bare
        ranked = sorted((e for e in self._candidates.values() if e.fitness <= best), key=_rank)
        self._candidates = {e.program.id: e for e in ranked[:_CANDIDATES]}

    def next(self) -> tuple[Elite, ...]:
        """The elites to show in the next prompt, the most lasting first, the champion last.

        Without those that stay away, be it all.
        """
        if self._size <= 0 or not self._candidates:
            return ()
        champion = next(iter(self._candidates.values()))
        room = min(self._size, len(self._candidates))
        if self._prompts % self._every == 0 or len(self._shown) < room:
            self._renew(self._varied())
        elif self._shown[-1].program.id != champion.program.id:
            self._crown(champion)
        self._prompts += 1
        self._away = {name: last for name, last in self._away.items() if last >= self._prompts}
        return tuple(e for e in self._shown if e.program.id not in self._away)

    def left_out(self, elites: Iterable[Elite]) -> None:
        """Take note of who was to be shown in the last prompt and had no room there."""
        self._away.update({e.program.id: self._prompts + _PAUSE for e in elites})

    def state(self) -> bytes:
        """What must survive a stop."""
        known = _packed(self._candidates.values())
        state = _State(_packed(self._shown), known, self._prompts, self._away)
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        """Take up a state of an earlier process; tolerates `b""`."""
        if state:
            known = msgspec.msgpack.decode(state, type=_State)
            self._shown = [Elite(*values) for values in known.shown]
            self._candidates = {p.id: Elite(p, e, f) for p, e, f in known.candidates}
            self._prompts, self._away = known.prompts, known.away

    def _varied(self) -> list[Elite]:
        """The best candidates, near-copies of better ones only where others do not suffice."""
        chosen: list[Elite] = []
        copies: list[Elite] = []
        for elite in self._candidates.values():
            alike = any(_distance(elite, other) < _DIFFERENT for other in chosen)
            (copies if alike else chosen).append(elite)
        return [*chosen, *copies][: self._size]

    def _renew(self, wanted: list[Elite]) -> None:
        """Show these, those shown before first and in their old order, the champion last."""
        champion, others = wanted[0], {e.program.id for e in wanted[1:]}
        kept = [e for e in self._shown if e.program.id in others]
        known = {e.program.id for e in kept}
        fresh = [e for e in reversed(wanted[1:]) if e.program.id not in known]
        self._shown = [*kept, *fresh, champion]

    def _crown(self, champion: Elite) -> None:
        """Put the champion last. Whoever was last goes, unless the champion left a gap."""
        inside = [e for e in self._shown if e.program.id == champion.program.id]
        if not inside:
            self._shown[-1] = champion
        else:
            self._shown.remove(inside[0])
            self._shown.append(champion)


def _rank(elite: Elite) -> tuple[float, int, str]:
    return (-elite.fitness, elite.program.size, elite.program.id)


def _distance(one: Elite, other: Elite) -> int:
    mine, theirs = (
        {
            (path, text.strip())
            for path, full in e.program.files.items()
            for text in full.split("\n")
        }
        for e in (one, other)
    )
    return len(mine ^ theirs)


def _packed(elites: Iterable[Elite]) -> list[tuple[Program, Evaluation, float]]:
    return [(e.program, replace(e.evaluation, artifacts={}), e.fitness) for e in elites]
