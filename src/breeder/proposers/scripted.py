"""A proposer that follows a script: for tests, benchmarks, and replaying a list of programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from breeder.proposers.proposer import Draw, Outcome, Proposal


class ScriptedProposer:
    """Offers what `script` returns for the n-th draw; None ends the offers.

    Args:
        script: n (from 0) -> every evolved file of the next program, or None.
        latency: seconds to wait before each offer, as a slow model would.
    """

    name = "scripted"

    def __init__(
        self, script: Callable[[int], Mapping[str, str] | None], *, latency: float = 0.0
    ) -> None:
        self._script = script
        self._latency = latency
        self._next = 0
        self.outcomes: list[Outcome] = []

    async def propose(self, draw: Draw) -> Proposal | None:
        """The next program of the script."""
        number = self._next
        self._next += 1
        if self._latency:
            await asyncio.sleep(self._latency)
        files = self._script(number)
        if files is None:
            return None
        return Proposal(files, (draw.parent.program.id,), f"script {number}")

    def learn(self, outcome: Outcome) -> None:
        """Keep the outcome for inspection."""
        self.outcomes.append(outcome)

    def state(self) -> bytes:
        """Position in the script."""
        return str(self._next).encode()

    def restore(self, state: bytes) -> None:
        """Go on at an earlier position."""
        self._next = int(state or b"0")
