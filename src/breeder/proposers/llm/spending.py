"""Budgets of tokens and currency as hard stops: reserved before a request, settled after it.

A request reserves the most that it can cost. It is sent only when that fits beside what is spent
and what other requests hold, so requests under way together cannot overrun a limit, whatever
they come to, as long as none exceeds its own reservation.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from breeder.core import Budget
from breeder.proposers.llm.model import LossKind, ModelError, Usage


class Bound(NamedTuple):
    """Most that a request can use."""

    tokens: int
    currency: float


class Reservation:
    """A part of the budget that is held for one request; leaving it gives back what is unused.

    Attributes:
        count: answers that it covers.
    """

    def __init__(self, spending: Spending, bound: Bound, count: int) -> None:
        self.count = count
        self._spending, self._bound = spending, bound
        self._used = Usage()

    def settle(self, used: Usage) -> None:
        """Say what the request used."""
        self._used = self._used + used

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._spending._release(self._bound, self._used)


class Spending:
    """What all models of a run used together, and whether there is enough for more.

    Args:
        tokens: limit on prompt and answer tokens together, cached ones included; None for none.
        currency: limit in the currency of the configured prices; None for none.
        on_settle: called to store how things stand: when something was spent and, under a limit,
            when something is about to be.

    Attributes:
        seconds_left: CPU or wall seconds that the limits of the run leave; infinite without any.
        spent: what is known to be spent.
        unknown: held by requests of a sitting that was killed. What they came to is not known, so
            the limits count all of it.
    """

    def __init__(
        self,
        *,
        tokens: int | None = None,
        currency: float | None = None,
        on_settle: Callable[[], None] = lambda: None,
    ) -> None:
        self.tokens, self.currency, self.on_settle = tokens, currency, on_settle
        self.seconds_left: Callable[[], float] = lambda: math.inf
        self.spent = Usage()
        self.unknown = Bound(0, 0.0)
        self._held = Bound(0, 0.0)
        self._under_way = 0
        self._changed = asyncio.Event()

    @classmethod
    def of(cls, budget: Budget) -> Self:
        """Spending under the limits of a run's budget."""
        return cls(tokens=budget.tokens, currency=budget.currency)

    @property
    def spent_tokens(self) -> int:
        """Prompt and answer tokens."""
        return self.spent.prompt_tokens + self.spent.answer_tokens

    @property
    def outstanding(self) -> Bound:
        """Most that requests under way and those of killed sittings came to, or will."""
        tokens = self.unknown.tokens + self._held.tokens
        return Bound(tokens, self.unknown.currency + self._held.currency)

    def reached(self) -> str:
        """Name of the limit that is used up, as in `core.Budget`; or ''."""
        if self.tokens is not None and self.spent_tokens >= self.tokens:
            return "tokens"
        if self.currency is not None and self.spent.currency >= self.currency:
            return "currency"
        return ""

    async def reserve(self, bound: Callable[[int], Bound], count: int) -> Reservation:
        """Hold enough for `count` answers, or for as many as what is left covers.

        Waits while other requests hold what this one needs.

        Args:
            bound: number of answers -> most that the request can use.
            count: answers wanted, at least 1.

        Raises:
            ModelError: of kind BUDGET: not even one answer is covered.
        """
        while True:
            for fewer in range(count, 0, -1):
                if not self._lacking(bound(fewer)):
                    return self._hold(bound(fewer), fewer)
            if lacking := self._lacking(bound(1), held=self.unknown):
                raise ModelError(LossKind.BUDGET, self._refusal(lacking, bound(1)))
            self._changed.clear()
            await self._changed.wait()

    def _lacking(self, bound: Bound, *, held: Bound | None = None) -> str:
        """Name of the limit that does not cover a bound beside what is held; or ''."""
        held = held or self.outstanding
        tokens = self.spent_tokens + held.tokens + bound.tokens
        if self.tokens is not None and tokens > self.tokens:
            return "tokens"
        currency = self.spent.currency + held.currency + bound.currency
        if self.currency is not None and currency > self.currency:
            return "currency"
        return ""

    def _refusal(self, limit: str, bound: Bound) -> str:
        if limit == "tokens":
            left = max((self.tokens or 0) - self.spent_tokens - self.unknown.tokens, 0)
            return f"tokens: {left} left, the request may need {bound.tokens}"
        money = (self.currency or 0.0) - self.spent.currency - self.unknown.currency
        return f"currency: {max(money, 0.0):.4g} left, the request may need {bound.currency:.4g}"

    def _hold(self, bound: Bound, count: int) -> Reservation:
        self._shift(bound, 1)
        if self.tokens is not None or self.currency is not None:
            self.on_settle()
        return Reservation(self, bound, count)

    def _release(self, bound: Bound, used: Usage) -> None:
        self._shift(bound, -1)
        self.spent = self.spent + used
        self._changed.set()
        if used != Usage():
            self.on_settle()

    def _shift(self, bound: Bound, sign: int) -> None:
        self._under_way += sign
        tokens = self._held.tokens + sign * bound.tokens
        currency = self._held.currency + sign * bound.currency
        # Sums of floats in different orders differ in the last place: nothing held is nothing.
        self._held = Bound(tokens, currency) if self._under_way else Bound(0, 0.0)
