"""How many requests a model gets: at once, and in any minute; and which of those that wait is next.

An endpoint keeps what it has read of prompts, but not for long: of the requests that wait, the one
that shares most of its beginning with the last one sent goes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from breeder.proposers.llm.model import Prompt
from breeder.proposers.llm.retry import Timing

_MINUTE = 60.0
PATIENCE = 32
"""Requests that may be sent before one that came earlier."""


@dataclass(slots=True)
class _Waiting:
    prompt: Prompt
    turn: asyncio.Future[None]
    passed: int = 0


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
        self._free = concurrency
        self._waiting: list[_Waiting] = []
        self._last: Prompt | None = None
        self._most = max(int(per_minute or 0), 1)
        self._window = _MINUTE if per_minute is None else _MINUTE * self._most / per_minute
        self._limited = per_minute is not None
        self._starts: deque[float] = deque()
        self._paused_until = 0.0

    @asynccontextmanager
    async def slot(self, prompt: Prompt) -> AsyncIterator[None]:
        """Wait for one of the places; `turn` then waits for the time."""
        await self._enter(prompt)
        try:
            yield
        finally:
            self._leave()

    async def turn(self) -> None:
        """Wait until a request may be sent, and count it as sent."""
        while (wait := self._wait()) > 0:
            await self._timing.sleep(wait)
        if self._limited:
            self._starts.append(self._timing.now())

    def pause(self, seconds: float) -> None:
        """Send nothing for a while: the endpoint asked for it."""
        self._paused_until = max(self._paused_until, self._timing.now() + seconds)

    async def _enter(self, prompt: Prompt) -> None:
        if self._free:
            self._free, self._last = self._free - 1, prompt
            return
        mine = _Waiting(prompt, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            await mine.turn
        except asyncio.CancelledError:
            if not mine.turn.cancelled():
                self._leave()  # its turn had come
            raise

    def _leave(self) -> None:
        self._waiting = [one for one in self._waiting if not one.turn.cancelled()]
        if not self._waiting:
            self._free += 1
            return
        chosen = self._next()
        place = self._waiting.index(chosen)
        for one in self._waiting[:place]:
            one.passed += 1
        del self._waiting[place]
        self._last = chosen.prompt
        chosen.turn.set_result(None)

    def _next(self) -> _Waiting:
        """Who comes next: the first that waited too long, else the nearest to the last one sent."""
        late = next((one for one in self._waiting if one.passed >= PATIENCE), None)
        return late or max(self._waiting, key=lambda one: _shared(one.prompt, self._last))

    def _wait(self) -> float:
        now = self._timing.now()
        while self._starts and self._starts[0] <= now - self._window:
            self._starts.popleft()
        full = self._limited and len(self._starts) >= self._most
        until = self._starts[0] + self._window if full else now
        return max(until, self._paused_until) - now


def _shared(prompt: Prompt, last: Prompt | None) -> int:
    """Characters of the leading parts that two prompts have in common."""
    if last is None:
        return 0
    length = 0
    mine, theirs = (prompt.system, *prompt.parts), (last.system, *last.parts)
    for own, other in zip(mine, theirs, strict=False):
        if own != other:
            break
        length += len(own)
    return length
