"""Credit: which texts paid, learned from rewards by Thompson sampling.

Each key has a Beta posterior over its reward per use, whose counts fade with every use of any key,
so that what paid early and no more gives way (Raj and Kalyani 2017, arXiv 1707.09727).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec

DISCOUNT = 0.99
_PRIOR_GOOD, _PRIOR_BAD = 0.5, 1.5
_MOST_KEYS = 512


class Tally(msgspec.Struct):
    """Faded counts of one key, and how often it was used in all."""

    tries: float = 0.0
    rewards: float = 0.0
    uses: int = 0

    @property
    def mean(self) -> float:
        """Expected reward of a use, in (0, 1)."""
        return (self.rewards + _PRIOR_GOOD) / (self.tries + _PRIOR_GOOD + _PRIOR_BAD)


class Credit:
    """Draws keys by what they earned. Knows keys once they were rewarded, and 512 at most."""

    def __init__(self, *, discount: float = DISCOUNT) -> None:
        self._discount = discount
        self._tallies: dict[str, Tally] = {}

    def draw(
        self, keys: Sequence[str], rng: random.Random, weights: Mapping[str, float] | None = None
    ) -> str:
        """One of the keys: the largest draw from the posteriors, times its weight.

        Raises:
            ValueError: there are no keys.
        """
        if not keys:
            raise ValueError("no keys to draw from")
        best, chosen = -1.0, keys[0]
        for key in keys:
            t = self._tallies.get(key) or Tally()
            worth = rng.betavariate(
                _PRIOR_GOOD + t.rewards, _PRIOR_BAD + max(t.tries - t.rewards, 0.0)
            )
            worth *= (weights or {}).get(key, 1.0)
            if worth > best:
                best, chosen = worth, key
        return chosen

    def learn(self, key: str, reward: float) -> None:
        """Take note of one use; rewards are clamped to [0, 1], NaN counts as 0."""
        earned = min(max(reward, 0.0), 1.0) if reward == reward else 0.0
        for tally in self._tallies.values():
            tally.tries *= self._discount
            tally.rewards *= self._discount
        tally = self._tallies.setdefault(key, Tally())
        tally.tries += 1.0
        tally.rewards += earned
        tally.uses += 1
        if len(self._tallies) > _MOST_KEYS:
            del self._tallies[min(self._tallies, key=lambda k: self._tallies[k].tries)]

    def tally(self, key: str) -> Tally:
        """What is known of a key."""
        return self._tallies.get(key) or Tally()

    def forget(self, key: str) -> None:
        """Drop what is known of a key."""
        self._tallies.pop(key, None)

    def ranking(self) -> tuple[tuple[str, Tally], ...]:
        """Known keys, the best expected reward first."""
        return tuple(sorted(self._tallies.items(), key=lambda item: (-item[1].mean, item[0])))

    def __len__(self) -> int:
        """Number of keys that were rewarded."""
        return len(self._tallies)

    def state(self) -> dict[str, Tally]:
        """The tallies, for the owner's own state."""
        return self._tallies

    def restore(self, tallies: Mapping[str, Tally]) -> None:
        """Take up tallies from an earlier process."""
        self._tallies = dict(tallies)
