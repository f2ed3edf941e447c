"""A circuit breaker: after losses in a row a model rests; then one request tries it again.

The pattern is Nygard's (Release It!, 2nd edition, 2018, chapter 5). Here it keeps an outage from
eating a run: whoever asks a resting model is told so at once, for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Circuit(StrEnum):
    """State of a breaker."""

    CLOSED = "closed"  # asked as usual
    OPEN = "open"  # resting
    HALF_OPEN = "half-open"  # one request is trying it


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens.

    Attributes:
        losses: that many in a row open it.
        rest: seconds of the first rest; each failed trial doubles it.
        longest: seconds of the longest rest.
    """

    losses: int = 5
    rest: float = 20.0
    longest: float = 600.0


class Breaker:
    """Counts losses in a row. Times are passed in; nothing here waits."""

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._rest = self._settings.rest
        self._until = 0.0
        self.in_a_row = 0
        self.circuit = Circuit.CLOSED

    def available(self, now: float) -> bool:
        """Whether `admit` would let a request through."""
        return self.circuit is Circuit.CLOSED or (
            self.circuit is Circuit.OPEN and now >= self._until
        )

    def admit(self, now: float) -> bool:
        """Let a request through, or not. Each admitted one ends in exactly one of the below."""
        admitted = self.available(now)
        if admitted and self.circuit is Circuit.OPEN:
            self.circuit = Circuit.HALF_OPEN
        return admitted

    def resting(self, now: float) -> float:
        """Seconds left to rest."""
        return 0.0 if self.circuit is Circuit.CLOSED else max(0.0, self._until - now)

    def succeeded(self) -> None:
        """An answer came."""
        self.in_a_row, self._rest, self.circuit = 0, self._settings.rest, Circuit.CLOSED

    def failed(self, now: float, *, rest: float = 0.0) -> None:
        """A request was lost.

        Args:
            now: the time.
            rest: seconds that the endpoint wants to be left alone; opens the circuit at once.
        """
        self.in_a_row += 1
        if self.circuit is Circuit.OPEN and not rest:
            return  # it was under way when another one opened the circuit
        if self.circuit is Circuit.HALF_OPEN:
            self._rest = min(self._rest * 2, self._settings.longest)
        elif self.in_a_row < self._settings.losses and not rest:
            return
        self.circuit = Circuit.OPEN
        self._until = now + min(max(self._rest, rest), self._settings.longest)

    def abandoned(self) -> None:
        """A request was admitted and not sent, or its end was not awaited."""
        if self.circuit is Circuit.HALF_OPEN:
            self.circuit = Circuit.OPEN
