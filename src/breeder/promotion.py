"""Promotion: which programs are worth the dear stages of a cascade.

Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934): a program goes on from a stage
only when its metric there is among the best share of what recent programs had. A fixed threshold
cannot do that: it must let the start pass, and most of what comes later is better than the start.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from breeder.core import Evaluation
from breeder.task import StageSection

WINDOW = 64
"""Recent programs that a program is compared with: children get better as parents do."""
LEAST = 12
"""With fewer to compare with, every program goes on."""


def _window() -> defaultdict[str, deque[float]]:
    return defaultdict(lambda: deque(maxlen=WINDOW))


@dataclass(slots=True)
class Promotion:
    """Keeps what recent programs reached in each stage that promotes, and says what is enough."""

    values: defaultdict[str, deque[float]] = field(default_factory=_window)

    def take(self, stages: Iterable[StageSection], evaluation: Evaluation) -> None:
        """Note the metrics of an evaluation, whatever came of it in the end."""
        for stage in stages:
            value = evaluation.metrics.get(stage.metric or "")
            if stage.promote is not None and value is not None:
                self.values[stage.name].append(value)

    def bounds(self, stages: Iterable[StageSection]) -> dict[str, float]:
        """What a program must reach to go on, for each stage that can say so yet.

        It is the worst value among the best share of the window.
        """
        found = {}
        for stage in stages:
            if stage.promote is not None and len(self.values[stage.name]) >= LEAST:
                higher = stage.at_least is not None
                ordered = sorted(self.values[stage.name], reverse=higher)
                found[stage.name] = ordered[max(1, round(stage.promote * len(ordered))) - 1]
        return found
