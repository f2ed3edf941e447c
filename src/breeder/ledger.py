"""Ledger: who spent what, by phase, and what is left of the budget."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol

from breeder.core import Budget, Cost

NOTHING = Cost()


class Clock(Protocol):
    """The time as a run sees it; injected, so that tests need no waiting."""

    def wall(self) -> float:
        """Seconds, monotonic."""
        ...

    def cpu(self) -> float:
        """CPU seconds of this process, all threads."""
        ...


class SystemClock:
    """The machine's clock."""

    def wall(self) -> float:
        """Seconds, monotonic."""
        return time.monotonic()

    def cpu(self) -> float:
        """CPU seconds of this process, all threads."""
        return time.process_time()


@dataclass(frozen=True, slots=True)
class Remaining:
    """How much of the budget is left.

    Attributes:
        share: 0.0 (spent) to 1.0 (untouched) of the limit that will be reached first.
        seconds: estimated wall seconds until then; None while it cannot be told.
        limit: name of that limit; empty without any limit.
    """

    share: float
    seconds: float | None
    limit: str


class Ledger:
    """Adds up costs by phase over all sittings of a run and compares them with the budget.

    Args:
        budget: the limits.
        clock: the time source.
        elapsed: wall seconds of earlier sittings.
        engine_cpu: CPU seconds of the engine's own process in earlier sittings.
    """

    def __init__(
        self, budget: Budget, clock: Clock, *, elapsed: float = 0.0, engine_cpu: float = 0.0
    ) -> None:
        self.budget = budget
        self.clock = clock
        self.phases: defaultdict[str, Cost] = defaultdict(Cost)
        self.evaluations = 0
        self._wall_origin = clock.wall() - elapsed
        self._cpu_origin = clock.cpu() - engine_cpu

    def charge(self, phase: str, cost: Cost) -> None:
        """Add a cost to a phase (`search`, `confirm`, `propose`, `held_out`, ...)."""
        self.phases[phase] = self.phases[phase] + cost

    def elapsed(self) -> float:
        """Wall seconds of the run, pauses between sittings excluded."""
        return self.clock.wall() - self._wall_origin

    def engine_cpu(self) -> float:
        """CPU seconds of the engine's own process."""
        return self.clock.cpu() - self._cpu_origin

    def search_cost(self) -> Cost:
        """What searching used: evaluations, confirmation, proposals, and the engine itself."""
        evaluated = self.phases["search"] + self.phases["confirm"]
        return evaluated + self.phases["propose"] + Cost(self.engine_cpu())

    def remaining(self, ahead: Cost = NOTHING) -> Remaining:
        """What is left, by the limit that will be reached first; `ahead` counts as spent."""
        cost, elapsed = self.search_cost() + ahead, self.elapsed() + ahead.wall_seconds
        limit_seconds = None if self.budget.minutes is None else self.budget.minutes * 60
        spent = {
            "minutes": (elapsed, limit_seconds),
            "evaluations": (self.evaluations, self.budget.evaluations),
            "cpu_seconds": (cost.cpu_seconds, self.budget.cpu_seconds),
            "tokens": (cost.tokens, self.budget.tokens),
            "currency": (cost.currency, self.budget.currency),
        }
        shares = {name: used / limit for name, (used, limit) in spent.items() if limit}
        if not shares:
            return Remaining(1.0, None, "")
        limit = max(shares, key=lambda name: shares[name])
        used_share = shares[limit]
        seconds = None if used_share <= 0 else elapsed * (1 - used_share) / used_share
        return Remaining(max(0.0, 1 - used_share), max(0.0, seconds) if seconds else seconds, limit)

    def seconds_left(self) -> float:
        """CPU or wall seconds until a limit on them, whichever are fewer; infinite without one."""
        cpu, minutes = self.budget.cpu_seconds, self.budget.minutes
        left = math.inf if cpu is None else cpu - self.search_cost().cpu_seconds
        return left if minutes is None else min(left, 60 * minutes - self.elapsed())

    def resources_exhausted(self, ahead: Cost = NOTHING) -> bool:
        """Whether a limit other than the number of evaluations is reached, with `ahead` spent."""
        left = self.remaining(ahead)
        return left.limit not in ("", "evaluations") and left.share <= 0

    def exhausted(self, *, reserved: int = 0) -> str:
        """Name of the limit that is reached, counting `reserved` evaluations under way; or ''."""
        evaluations = self.budget.evaluations
        if evaluations is not None and self.evaluations + reserved >= evaluations:
            return "evaluations"
        return self.remaining().limit if self.resources_exhausted() else ""
