"""What a model's proposer is given: who writes its prompts, and who reads its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from breeder.proposers.llm.model import Answer, Prompt
from breeder.proposers.llm.samples import Sample
from breeder.proposers.proposer import Draw, Outcome


@dataclass(frozen=True, slots=True)
class Brief:
    """A prompt and what it was made with.

    Attributes:
        prompt: what a model is asked.
        form: the form of edit that it asks for.
        credit: idea, instruction and the like, for `Briefing.learn`; plain data.
        note: what it asks to try, where that is one line; empty otherwise.
        shown: ids of the programs that it shows beside the parent.
        temperature: how boldly to sample; None leaves it to the model.
        max_tokens: most tokens of one answer; None leaves it to the model.
    """

    prompt: Prompt
    form: str
    credit: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    shown: tuple[str, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None


class Briefing(Protocol):
    """Writes the prompts of all models of a run and learns which ones pay."""

    def forms(self, draw: Draw) -> tuple[str, ...]:
        """Forms of edit that the drawn parent can be asked for."""
        ...

    def brief(self, draw: Draw, form: str) -> Brief:
        """A prompt for a better program than the parent. Uses no randomness but `draw.rng`."""
        ...

    def sent(self, prompt: Prompt, samples: int) -> None:
        """Take note of a prompt that is sent for so many answers."""
        ...

    def learn(self, sample: Sample, outcome: Outcome, reward: float) -> None:
        """Take note of what became of a program that one of the prompts led to."""
        ...

    def prefix_share(self) -> float:
        """Share of the prompts sent so far, 0 to 1, that repeated the beginning of earlier ones."""
        ...

    def reflect(self) -> Thought | None:
        """A question to a deep model that is due now, or None. Asked once."""
        ...

    def state(self) -> bytes:
        """What must survive a stop."""
        ...

    def restore(self, state: bytes) -> None:
        """Take up what `state` gave. Tolerates `b""` and what cannot be read."""
        ...


class Thought(Protocol):
    """A question that improves later prompts, and whom to tell the answer."""

    @property
    def prompt(self) -> Prompt:
        """The question."""
        ...

    def answered(self, text: str) -> None:
        """Take the answer; a useless one is dropped."""
        ...


class Edit(NamedTuple):
    """What an answer came to.

    Attributes:
        files: every evolved file of the new program; None when the answer was refused.
        note: one line on what was changed.
        reason: why it was refused, as counted in views; empty otherwise.
        repair: what to tell the model of its mistake; empty when there is no use in that.
    """

    files: dict[str, str] | None
    note: str = ""
    reason: str = ""
    repair: str = ""


class Editing(Protocol):
    """Reads answers."""

    def edit(self, answer: Answer, files: Mapping[str, str], form: str) -> Edit:
        """Apply an answer to a parent's files. Never raises, whatever the answer is."""
        ...
