"""Layout of a prompt: sections from the most stable to the most volatile, fitted to a budget.

An endpoint reuses the longest prefix that a prompt shares with earlier ones, so a section's place
is decided by how seldom it changes and never by how useful it is. How useful it is decides what
gives way when the prompt is too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from breeder.proposers.llm.tokens import estimate


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a prompt.

    Attributes:
        text: what it says.
        worth: what is least worth goes first when room is short; None never goes.
        shorter: texts to fall back on before it goes altogether, the longest first.
    """

    text: str
    worth: float | None = None
    shorter: tuple[str, ...] = ()


def fit(sections: Sequence[Section], tokens: int) -> tuple[str, ...]:
    """The sections' texts, with the least useful shortened or left out until they fit.

    Args:
        sections: from the most stable to the most volatile.
        tokens: room, in estimated tokens.

    Returns:
        One text per section, empty where it was left out. Longer than the room only where what
        may not be left out is longer by itself.
    """
    chosen = [[section.text, *section.shorter, ""] for section in sections]
    sizes = [estimate(texts[0]) for texts in chosen]
    order = sorted(
        (index for index, section in enumerate(sections) if section.worth is not None),
        key=lambda index: (sections[index].worth or 0.0, -index),
    )
    for index in order:
        while sum(sizes) > tokens and len(chosen[index]) > 1:
            chosen[index].pop(0)
            sizes[index] = estimate(chosen[index][0])
    return tuple(texts[0] for texts in chosen)
