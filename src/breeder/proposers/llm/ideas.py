"""Ideas: one line on what to try, changing with every call; which ones paid is learned.

Some come from a library of lines by kind of program, others are made from the program itself by
naming values in scope. Credit is kept in two steps, for the source of an idea and for the idea
within it (for a derived one: the pattern and the values), so that little evidence goes far.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import msgspec

from breeder.proposers.llm.credit import Credit, Tally
from breeder.proposers.llm.excerpts import FunctionView

_RECENT = 12
_ATTEMPTS = 8
_DERIVED = "derived"


@dataclass(frozen=True, slots=True)
class Idea:
    """One idea.

    Attributes:
        text: one line.
        keys: what it is made of, for `IdeaLibrary.learn`; plain data.
    """

    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdeaKind:
    """Ideas for one kind of program.

    Attributes:
        name: of the kind.
        words: beginnings of words by which a program of this kind is known; empty: every program.
        languages: languages that make a program one of this kind, whatever its words.
        ideas: the lines.
    """

    name: str
    words: tuple[str, ...]
    languages: tuple[str, ...]
    ideas: tuple[str, ...]


class _State(msgspec.Struct):
    sources: dict[str, Tally] = {}
    texts: dict[str, Tally] = {}
    values: dict[str, Tally] = {}
    recent: list[str] = []


class IdeaLibrary:
    """Draws ideas for a task and learns which ones pay.

    Args:
        subject: what tells the kind of program: the task's name, goal and the like.
        language: of the program.

    Attributes:
        kinds: the kinds of program that the task belongs to.
        derives: whether values may be put together freely, as no one result alone is right.
    """

    def __init__(self, subject: str, language: str = "python") -> None:
        self.kinds = kinds_of(subject, language)
        self._lines = {kind.name: kind.ideas for kind in self.kinds}
        # Values may be put together freely where any result is allowed, not where one is right.
        self.derives = "score" in self._lines or set(self._lines) == {"general"}
        self._sources, self._texts, self._values = Credit(), Credit(), Credit()
        self._recent: deque[str] = deque(maxlen=_RECENT)

    def draw(self, view: FunctionView | None, rng: random.Random) -> Idea:
        """An idea for a function; not one of the last dozen where that can be had."""
        values = view.values if view is not None and self.derives else ()
        sources = [*self._lines, *([_DERIVED] if values else [])]
        weights = {_DERIVED: 2.0, "general": 0.5}
        for _ in range(_ATTEMPTS):
            source = self._sources.draw(sources, rng, weights)
            idea = self._derived(values, rng) if source == _DERIVED else self._line(source, rng)
            if idea.text not in self._recent:
                break
        self._recent.append(idea.text)
        return idea

    def direction(self, rng: random.Random) -> str:
        """Whether a formula is asked for as it is or its reverse: "+" or "-", what paid more often.

        A small model knows what belongs together better than which way is up. To be credited as the
        last of an idea's keys.
        """
        return self._values.draw(("+", "-"), rng)

    def learn(self, keys: Sequence[str], reward: float) -> None:
        """Credit an idea, given by its `keys`, with what a program made of it earned in [0, 1]."""
        if len(keys) < 2:
            return
        source, text, *values = keys
        self._sources.learn(source, reward)
        self._texts.learn(text, reward)
        for value in values:
            self._values.learn(value, reward)

    def ranking(self) -> tuple[tuple[str, Tally], ...]:
        """Lines and patterns that were used, the best expected reward first."""
        return self._texts.ranking()

    def state(self) -> bytes:
        """What must survive a stop."""
        known = (self._sources.state(), self._texts.state(), self._values.state())
        return msgspec.msgpack.encode(_State(*known, list(self._recent)))

    def restore(self, state: bytes) -> None:
        """Take up a state of an earlier process; tolerates `b""`."""
        if state:
            known = msgspec.msgpack.decode(state, type=_State)
            self._sources.restore(known.sources)
            self._texts.restore(known.texts)
            self._values.restore(known.values)
            self._recent = deque(known.recent, maxlen=_RECENT)

    def _line(self, source: str, rng: random.Random) -> Idea:
        text = self._texts.draw(self._lines[source], rng)
        return Idea(text, (source, text))

    def _derived(self, values: Sequence[str], rng: random.Random) -> Idea:
        pairs, singles = _patterns()
        pattern = self._texts.draw([*(pairs if len(values) > 1 else ()), *singles], rng)
        a = self._values.draw(values, rng)
        if "{b}" not in pattern:
            return Idea(pattern.replace("{a}", f"`{a}`"), (_DERIVED, pattern, a))
        b = self._values.draw([value for value in values if value != a], rng)
        text = pattern.replace("{a}", f"`{a}`").replace("{b}", f"`{b}`")
        return Idea(text, (_DERIVED, pattern, a, b))


def kinds_of(subject: str, language: str) -> tuple[IdeaKind, ...]:
    """The kinds that a program belongs to, by its language and the words of its subject.

    A language that has a kind of its own decides alone.
    """
    kinds = library()
    native = [kind for kind in kinds if language in kind.languages]
    if native:
        return tuple(native)
    said = set(re.findall("[a-z]+", subject.lower()))
    return tuple(
        kind
        for kind in kinds
        if not kind.languages
        and (not kind.words or any(word.startswith(kind.words) for word in said))
    )


@lru_cache(maxsize=1)
def library() -> tuple[IdeaKind, ...]:
    """Every kind of idea that ships."""
    return tuple(
        IdeaKind(
            name,
            tuple(entry["words"]),
            tuple(entry.get("languages", ())),
            tuple(entry["ideas"]),
        )
        for name, entry in _data().items()
        if name != _DERIVED
    )


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, ...], tuple[str, ...]]:
    derived = _data()[_DERIVED]
    return tuple(derived["pairs"]), tuple(derived["singles"])


def _data() -> dict[str, dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("ideas.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
