"""Which form of edit a model is asked for: learned from what applies and from what it brings.

A model that cannot copy a search text is asked for whole functions, one that loses itself in long
texts for short ones. Thompson sampling with two fading records a form: the share of its answers
that become programs, and the reward of those programs.

In long prompts the answer format stands before the parent, and prompts of one form share more of
their beginning. So a form that was drawn is kept for a batch of prompts, which grows with what is
known (batched bandits lose little by that: Perchet et al. 2016, arXiv 1505.00369) and ends early
where answers cannot be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

FADE = 0.98  # of a form's record, per answer or reward
BATCH = 8  # most prompts for which a form is kept
_ANSWERS = 8  # for each of them, before so many are drawn at once
LARGE: Mapping[str, float] = {"diff": 1.0, "function": 0.8, "block": 0.6, "file": 0.2}
"""Forms that large models are asked for, and how much each is preferred in the beginning."""

SMALL: Mapping[str, float] = {"small": 1.0}
"""The same for small models: one short function after an idea. They manage nothing else."""

HELD = "+grammar"
"""Behind a form: the answer is held to a grammar of what can be applied. A form of its own, as it
depends on the model whether that pays."""

LARGE_HELD: Mapping[str, float] = {**LARGE, f"diff{HELD}": 0.6}
"""What large models are asked for whose endpoints constrain answers."""

SMALL_HELD: Mapping[str, float] = {
    "expression": 1.0,
    "reduction": 1.0,
    **SMALL,
    f"small{HELD}": 0.5,
}
"""The same for small models. One expression, or what a loop computes, is nothing without."""


@dataclass(slots=True)
class _Record:
    applied: float = 0.0  # fading counts of answers
    refused: float = 0.0
    reward: float = 0.0  # fading sums over the programs that were evaluated
    programs: float = 0.0
    answers: int = 0
    used: int = 0


class FormShare(NamedTuple):
    """How a form fares: answers asked for in it, and how many of them became programs."""

    name: str
    answers: int
    applied: int


class Forms:
    """Draws a form and learns.

    Args:
        preferences: forms -> weight before anything is known; at least one.
        batch: most prompts for which a form is kept; 1 where prompts of a form share nothing more.
    """

    def __init__(self, preferences: Mapping[str, float], *, batch: int = 1) -> None:
        if not preferences:
            raise ValueError("there must be a form to ask for")
        self._preferences, self._batch = dict(preferences), batch
        self._kept, self._left = "", 0  # the form of the batch under way, and its prompts to come
        self._records = {name: _Record() for name in preferences}

    def any_of(self, possible: Sequence[str]) -> bool:
        """Whether the model can be asked for any of these forms."""
        return any(name in self._preferences for name in possible)

    def draw(self, rng: Random, possible: Sequence[str] | None = None) -> str:
        """A form, mostly one that has paid; the last one again while its batch lasts.

        Args:
            rng: the only source of chance.
            possible: what the parent allows; every form if None or if it names none of them.
        """
        names = [name for name in self._preferences if possible is None or name in possible]
        if self._left > 0 and self._kept in names:
            self._left -= 1
            return self._kept
        value = {name: self._sample(name, rng) for name in names or self._preferences}
        self._kept = max(value, key=lambda name: value[name])
        known = sum(record.answers for record in self._records.values())
        self._left = min(self._batch, max(1, known // _ANSWERS)) - 1
        return self._kept

    def answered(self, form: str, *, applied: bool) -> None:
        """Note whether an answer became a program."""
        record = self._records.get(form)
        if record is None:
            return
        record.applied = FADE * record.applied + applied
        record.refused = FADE * record.refused + (not applied)
        self._left -= not applied and form == self._kept
        record.answers += 1
        record.used += applied

    def rewarded(self, form: str, reward: float) -> None:
        """Note the reward, from 0 to 1, of a program that came of an answer."""
        record = self._records.get(form)
        if record is None:
            return
        record.reward = FADE * record.reward + reward
        record.programs = FADE * record.programs + 1.0

    def shares(self) -> tuple[FormShare, ...]:
        """Every form that was asked for."""
        return tuple(
            FormShare(name, record.answers, record.used)
            for name, record in self._records.items()
            if record.answers
        )

    def state(self) -> dict[str, list[float]]:
        """What was learned."""
        return {
            name: [r.applied, r.refused, r.reward, r.programs, r.answers, r.used]
            for name, r in self._records.items()
        }

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Take up what `state` gave; forms that there are no more are skipped."""
        for name, values in state.items():
            if name in self._records:
                applied, refused, reward, programs, answers, used = values
                self._records[name] = _Record(
                    applied, refused, reward, programs, int(answers), int(used)
                )

    def _sample(self, name: str, rng: Random) -> float:
        record = self._records[name]
        applies = rng.betavariate(2.0 + record.applied, 1.0 + record.refused)
        idle = max(record.programs - record.reward, 0.0)
        pays = rng.betavariate(1.0 + record.reward, 3.0 + idle)
        return self._preferences[name] * applies * pays
