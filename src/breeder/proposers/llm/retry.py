"""When a request is tried again, and how long to wait before: back-off with jitter."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from breeder.proposers.llm.model import LossKind, ModelError

PASSING = frozenset({LossKind.RATE_LIMIT, LossKind.SERVER, LossKind.TIMEOUT, LossKind.CONNECTION})
"""Losses that may be over in a moment. The others come back however often one asks."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The outside world as retries see it; injected, so that tests need no waiting.

    Attributes:
        now: seconds, monotonic.
        sleep: waits that many seconds.
        rng: draws the jitter.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long.

    Attributes:
        attempts: tries of one request, the first included.
        first: mean seconds before the second try; doubles from try to try.
        longest: no pause is longer, and no longer `Retry-After` is waited for.
    """

    attempts: int = 3
    first: float = 1.0
    longest: float = 60.0

    def pause(self, tried: int, error: ModelError, rng: random.Random) -> float | None:
        """Seconds until the next try; None to give up.

        Args:
            tried: tries so far, at least 1.
            error: how the last one failed.
            rng: draws the jitter, between half and one and a half of the pause.
        """
        if error.fatal or tried >= self.attempts or error.kind not in PASSING:
            return None
        asked = error.retry_after or 0.0
        if asked > self.longest:
            return None
        own = self.first * 2.0 ** (tried - 1) * rng.uniform(0.5, 1.5)
        # Never before the endpoint's own time, and not all at the same moment after it.
        return max(min(own, self.longest), asked + min(own, 0.1 * asked))
