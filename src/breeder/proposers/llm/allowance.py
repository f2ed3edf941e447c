"""What a model on this machine may compute of the time that a run has left.

Its requests come out of the same budget as evaluations do. One that the end of the run cuts off is
all loss: a short run with such a model would be worse than one without. So none is begun that is
expected to take the model beyond its share of the time, and none goes on for longer than that: what
a model writes must still be evaluated, and be gone on with by others.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from breeder.proposers.llm.model import LanguageModel, LossKind, Metered, ModelError
from breeder.proposers.llm.spending import Spending

SHARE = 1 / 3
"""Of the time that a model has used and that is left, its most. What it used counts: a share of
what is left alone, request after request, comes to most of a short run."""


class Allowance:
    """Says whether a model's next request is affordable, and ends one that turns out not to be.

    Models elsewhere cost no CPU time; theirs always are.

    Args:
        model: the model.
        spending: tells the time that is left.
        first: CPU seconds that getting ready and a first request are expected to take.
    """

    def __init__(self, model: LanguageModel, spending: Spending, first: float) -> None:
        self._meter = model if isinstance(model, Metered) else None
        self._spending, self._expected = spending, first
        self._answered = False
        self._used = 0.0
        self._limit = math.inf
        self._cut: asyncio.Timeout | None = None

    def covers(self) -> bool:
        """Whether the time left carries another request."""
        return self._meter is None or self._expected <= self._most()

    def shortage(self) -> str:
        """Why a model that has not answered yet is not asked, in words; or ''."""
        if self._answered or self._cut is not None or self.covers():
            return ""
        left = max(0.0, self._spending.seconds_left())
        return (
            f"a first request may take {self._expected:.0f} CPU seconds, too much for the "
            f"{left:.0f} seconds left"
        )

    def in_reach(self) -> bool:
        """Whether the time left carries the rest of the request under way."""
        if self._meter is None:
            return True
        rest = self._expected - self._meter.unbooked()
        return max(0.0, rest) <= self._spending.seconds_left()

    def learn(self, cpu_seconds: float, *, answered: bool) -> None:
        """Take note of what a request cost."""
        self._used += cpu_seconds
        known = self._answered and answered
        # A request without an answer would have cost more; getting ready is in the first one.
        least = cpu_seconds if answered else max(cpu_seconds, self._expected)
        self._expected = (self._expected + cpu_seconds) / 2 if known else least
        self._answered = self._answered or answered

    @asynccontextmanager
    async def bound(self) -> AsyncIterator[None]:
        """Hold a request to its share of the time; `curb` looks after it.

        Raises:
            ModelError: it was ended.
        """
        self._limit = self._most()
        cut = asyncio.timeout(None)
        try:
            async with cut:
                self._cut = cut
                yield
        except TimeoutError:
            if not cut.expired():
                raise
            words = f"no answer within {self._limit:.1f} CPU seconds, its share of the time"
            raise ModelError(LossKind.TIMEOUT, words) from None
        finally:
            self._cut = None

    def curb(self) -> None:
        """End the request under way if it has used more than its share."""
        cut = self._cut
        if self._meter is not None and cut is not None and self._meter.unbooked() > self._limit:
            self._cut = None
            cut.reschedule(asyncio.get_running_loop().time())

    def _most(self) -> float:
        """CPU seconds that the next request may take."""
        return SHARE * (self._used + self._spending.seconds_left()) - self._used
