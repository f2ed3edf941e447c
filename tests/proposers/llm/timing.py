"""A clock that moves only when somebody sleeps."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from breeder.proposers.llm.retry import Timing


@dataclass
class MadeUpTime:
    """Seconds that pass in no time."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def timing(self, seed: int = 0) -> Timing:
        return Timing(now=lambda: self.now, sleep=self.sleep, rng=random.Random(seed))
