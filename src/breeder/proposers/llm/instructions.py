"""Instructions: what a prompt asks for last. An archive of them evolves beside the programs.

After the meta-prompts of AlphaEvolve (Novikov et al. 2025, arXiv 2506.13131): instructions are
drawn by what they earned, and now and then a deep model writes new ones from the best and the
worst.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Collection
from functools import lru_cache
from hashlib import sha256
from importlib import resources

import msgspec

from breeder.proposers.llm.credit import Credit, Tally
from breeder.proposers.llm.fences import clean
from breeder.proposers.llm.model import Prompt

CAPACITY = 24
"""Most instructions kept at a time."""

_SHORTEST, _LONGEST = 30, 400
_PER_REVISION = 3
_TRIED = 3
_ALIKE = 0.7
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s+(.*)$")
_WORD = re.compile(r"[a-z]{3,}")
_FORBIDDEN = re.compile(r"```|<<<<|>>>>|://|EVOLVE-BLOCK|\{[a-z_]*\}")


class Instruction(msgspec.Struct, frozen=True):
    """An instruction.

    Attributes:
        id: by which it is credited.
        text: what it says, one line.
        needs: what the prompt must hold for it to make sense.
        written: whether a model wrote it in this run.
    """

    id: str
    text: str
    needs: tuple[str, ...] = ()
    written: bool = False


class _State(msgspec.Struct):
    instructions: list[Instruction]
    credit: dict[str, Tally]
    learned: int
    revised: int


class InstructionBook:
    """The instructions of a run with their credit.

    Args:
        every: outcomes between revisions by a model; 0 for never.
    """

    def __init__(self, *, every: int = 60) -> None:
        self._every = every
        self._book = {entry.id: entry for entry in shipped()}
        self._credit = Credit()
        self._learned = 0
        self._revised = 0

    def draw(self, available: Collection[str], rng: random.Random) -> Instruction:
        """An instruction that makes sense in a prompt that holds what is `available`."""
        fitting = [e.id for e in self._book.values() if set(e.needs) <= set(available)]
        return self._book[self._credit.draw(fitting, rng)]

    def learn(self, id: str, reward: float) -> None:
        """Credit an instruction with what a program made under it earned, in [0, 1].

        One that was replaced meanwhile is ignored.
        """
        if id in self._book:
            self._credit.learn(id, reward)
            self._learned += 1

    def due(self) -> bool:
        """Whether enough was learned since the last revision for another one."""
        return self._every > 0 and self._learned - self._revised >= self._every

    def revision(self, goal: str) -> Prompt:
        """The prompt that asks a model for new instructions. Counts as a revision."""
        self._revised = self._learned
        ranked = [(e, t) for id, t in self._credit.ranking() if (e := self._book.get(id))]
        best = "".join(_entry(e, t) for e, t in ranked[:4])
        worst = "".join(_entry(e, t) for e, t in ranked[4:][-3:])
        asked = (
            f"# Instructions that earned most\n\n{best}\n"
            + (f"# Instructions that earned least\n\n{worst}\n" if worst else "")
            + _WANTED
        )
        return Prompt((_REVISION, f"# Task\n\n{clean(goal).strip()}\n\n", asked), system=_SYSTEM)

    def revise(self, answer: str) -> tuple[Instruction, ...]:
        """Adopt the usable instructions of an answer; the least useful make room for them.

        Usable: 30 to 400 characters in a list, no code, no address, unlike those there are.
        """
        adopted: list[Instruction] = []
        for text in _lines(answer):
            if len(adopted) == _PER_REVISION:
                break
            known = [e.text for e in self._book.values()]
            if any(_alike(text, other) for other in known):
                continue
            entry = Instruction(_id(text), text, written=True)
            self._book[entry.id] = entry
            adopted.append(entry)
        self._shrink({entry.id for entry in adopted})
        return tuple(adopted)

    def entries(self) -> tuple[tuple[Instruction, Tally], ...]:
        """Every instruction with what is known of it."""
        return tuple((entry, self._credit.tally(entry.id)) for entry in self._book.values())

    def state(self) -> bytes:
        """What must survive a stop."""
        entries = list(self._book.values())
        state = _State(entries, self._credit.state(), self._learned, self._revised)
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        """Take up a state of an earlier process; tolerates `b""`."""
        if state:
            known = msgspec.msgpack.decode(state, type=_State)
            self._book = {entry.id: entry for entry in known.instructions}
            self._credit.restore(known.credit)
            self._learned, self._revised = known.learned, known.revised

    def _shrink(self, fresh: Collection[str]) -> None:
        """Drop the written ones that are least useful, but for new ones and all that shipped."""
        while len(self._book) > CAPACITY:
            old = [e for e in self._book.values() if e.written and e.id not in fresh]
            if not old:
                return
            tried = [e for e in old if self._credit.tally(e.id).uses >= _TRIED] or old
            worst = min(tried, key=lambda e: self._credit.tally(e.id).mean)
            del self._book[worst.id]
            self._credit.forget(worst.id)


@lru_cache(maxsize=1)
def shipped() -> tuple[Instruction, ...]:
    """The instructions that a run starts with."""
    text = resources.files(__package__).joinpath("instructions.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["instruction"]
    return tuple(
        Instruction(_id(entry["text"]), entry["text"], tuple(entry.get("needs", ())))
        for entry in entries
    )


def _id(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()[:12]


def _entry(instruction: Instruction, tally: Tally) -> str:
    return f"- ({tally.mean:.2f} after {tally.uses} uses) {instruction.text}\n"


def _lines(answer: str) -> list[str]:
    found = []
    for raw in clean(answer[:20_000]).split("\n"):
        match = _BULLET.match(raw[: 4 * _LONGEST])
        text = " ".join(match[1].replace("**", "").split()).strip("\"' ") if match else ""
        if _SHORTEST <= len(text) <= _LONGEST and not _FORBIDDEN.search(text):
            found.append(text)
    return found


def _alike(one: str, other: str) -> bool:
    mine, theirs = set(_WORD.findall(one.lower())), set(_WORD.findall(other.lower()))
    return len(mine & theirs) >= _ALIKE * len(mine | theirs)


_SYSTEM = "You write instructions for programmers who improve a program step by step."
_REVISION = (
    "Programmers were given the task below, each time with one instruction on what kind of change "
    "to try. What their programs earned is known: 1 for a new best program, 0 for one that was of "
    "no use.\n\n"
)
_WANTED = (
    f"Write {_PER_REVISION} new instructions for the same task. Learn from what the good ones have "
    "in common; do not repeat any. Each is one or two plain sentences that tell a programmer what "
    "kind of change to try, without code and without naming one program. Answer with "
    f"{_PER_REVISION} lines, each beginning with `- `, and nothing else.\n"
)
