"""Exchange: what CPU time, tokens and money are worth in evaluations, so that arms compare.

An evaluation is the unit: it is what every proposer spends. CPU time is worth the evaluations that
it would have paid for. Tokens and money are worth what they are scarce: the share of their limit
that is used, as that share of all evaluations that the run will make. Without a limit on them they
cost nothing: their owner has said so.
"""

from __future__ import annotations

from breeder.core import Budget, Cost

_UNLIMITED = 1000.0  # evaluations that a run is taken to make where no limit tells


class Exchange:
    """Converts costs to evaluations.

    Args:
        budget: the limits of the run.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget or Budget()
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


def _share(used: float, limit: float | None) -> float:
    return used / limit if limit else 0.0
