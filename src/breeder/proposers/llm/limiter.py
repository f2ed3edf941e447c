"""How many requests a model gets: at once, and in any minute."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from breeder.proposers.llm.retry import Timing

_MINUTE = 60.0


class Limiter:
    """Holds requests back.

    Args:
        timing: clock and sleep.
        concurrency: requests under way at the same time.
        per_minute: requests in any 60 seconds; None for no limit. Below one, it is one request
            in correspondingly many minutes.
    """

    def __init__(self, timing: Timing, concurrency: int, per_minute: float | None) -> None:
        self._timing = timing
        self._free = asyncio.Semaphore(concurrency)
        self._most = max(int(per_minute or 0), 1)
        self._window = _MINUTE if per_minute is None else _MINUTE * self._most / per_minute
        self._limited = per_minute is not None
        self._starts: deque[float] = deque()
        self._paused_until = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for one of the places; `turn` then waits for the time."""
        async with self._free:
            yield

    async def turn(self) -> None:
        """Wait until a request may be sent, and count it as sent."""
        while (wait := self._wait()) > 0:
            await self._timing.sleep(wait)
        if self._limited:
            self._starts.append(self._timing.now())

    def pause(self, seconds: float) -> None:
        """Send nothing for a while: the endpoint asked for it."""
        self._paused_until = max(self._paused_until, self._timing.now() + seconds)

    def _wait(self) -> float:
        now = self._timing.now()
        while self._starts and self._starts[0] <= now - self._window:
            self._starts.popleft()
        full = self._limited and len(self._starts) >= self._most
        until = self._starts[0] + self._window if full else now
        return max(until, self._paused_until) - now
