"""Exchange: what CPU time, tokens and money are worth in evaluations, so that arms compare.

An evaluation is the unit: it is what every proposer spends. CPU time is worth the evaluations that
it would have paid for. Tokens and money are worth what they are scarce: the share of their limit
that is used, as that share of all evaluations that the run will make. Without a limit on them they
cost nothing: their owner has said so.
"""

from __future__ import annotations

from collections.abc import Callable

from breeder.core import Budget, Cost

_UNLIMITED = 1000.0  # evaluations that a run is taken to make where no limit tells


class Exchange:
    """Converts costs to evaluations.

    Args:
        budget: the limits of the run.
        used: the CPU seconds that the run has used so far, whoever used them; if not given, those
            of evaluations are all that is known of.
    """

    def __init__(
        self, budget: Budget | None = None, used: Callable[[], float] | None = None
    ) -> None:
        self._budget, self._used = budget or Budget(), used
        self._cpu_seconds = 0.0
        self._evaluations = 0

    def evaluated(self, cost: Cost) -> None:
        """Take note of what an evaluation used."""
        self._cpu_seconds += cost.cpu_seconds
        self._evaluations += 1

    def evaluations(self, cost: Cost) -> float:
        """How many evaluations a cost is worth."""
        mean = self._cpu_seconds / self._evaluations if self._evaluations else 0.0
        worth = cost.cpu_seconds / mean if mean > 0 else 0.0
        share = max(
            _share(cost.tokens, self._budget.tokens), _share(cost.currency, self._budget.currency)
        )
        return worth + (share * (self.expected() or _UNLIMITED) if share else 0.0)

    def expected(self) -> float | None:
        """Evaluations that the whole run will make; None where no limit tells."""
        mean = self._cpu_seconds / self._evaluations if self._evaluations else 0.0
        limits = [float(self._budget.evaluations)] if self._budget.evaluations else []
        if self._budget.cpu_seconds and mean > 0:
            limits.append(self._budget.cpu_seconds / mean)
        return min(limits, default=None)

    def over(self, made: int) -> float:
        """Share of the run that is over after so many evaluations; 0.0 where no limit tells."""
        expected = self.expected()
        share = made / expected if expected else 0.0
        if self._used is not None and self._budget.cpu_seconds:
            share = max(share, self._used() / self._budget.cpu_seconds)
        return share


def _share(used: float, limit: float | None) -> float:
    return used / limit if limit else 0.0
