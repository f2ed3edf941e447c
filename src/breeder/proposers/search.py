"""Searches over a vector of real numbers, one generation at a time: CMA-ES, and (1+1) for one.

Both minimise and are given their random numbers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol

_SMALLEST = 1e-3


class Search(Protocol):
    """Asked for a generation of vectors, then told a cost for each."""

    def ask(self) -> list[list[float]]:
        """The vectors of the next generation."""
        ...

    def tell(self, vectors: Sequence[Sequence[float]], costs: Sequence[float]) -> None:
        """The cost of every vector of the generation, lower is better."""
        ...

    def narrow(self) -> None:
        """Take smaller steps: every vector of the generation failed."""
        ...

    def ended(self) -> bool:
        """Whether it has converged or stagnated."""
        ...


class Covariance:
    """CMA-ES (Hansen, 2016, arXiv:1604.00772) by the `cma` package.

    The package is imported here and not with the module because that takes more than half a second.
    """

    def __init__(
        self,
        start: Sequence[float],
        steps: Sequence[float],
        *,
        sigma: float,
        population: int,
        rng: random.Random,
    ) -> None:
        """Set up.

        Args:
            start: the first mean.
            steps: least standard deviation per coordinate; 0 for none.
            sigma: initial standard deviation.
            population: vectors per generation.
            rng: gives the seed; nothing else is random.
        """
        import cma
        import numpy as np

        self._array = np.asarray
        generator = np.random.default_rng(rng.getrandbits(64))
        options = {
            "verbose": -9,
            "verb_log": 0,
            "verb_disp": 0,
            "seed": np.nan,  # NaN keeps it from seeding numpy's global generator
            "randn": lambda *shape: generator.standard_normal(shape),
            "popsize": population,
            "minstd": list(steps),
            "tolx": _SMALLEST,
            "tolfun": 0,
            "tolfunhist": 0,
        }
        self._strategy: Any = cma.CMAEvolutionStrategy(list(start), sigma, options)

    def ask(self) -> list[list[float]]:
        """The vectors of the next generation."""
        return [[float(x) for x in vector] for vector in self._strategy.ask()]

    def tell(self, vectors: Sequence[Sequence[float]], costs: Sequence[float]) -> None:
        """Update mean, step size and covariance."""
        self._strategy.tell([self._array(v) for v in vectors], list(costs))

    def narrow(self) -> None:
        """Halve the step size."""
        self._strategy.sigma *= 0.5

    def ended(self) -> bool:
        """Whether one of the package's stopping rules holds."""
        return bool(self._strategy.stop()) or self._strategy.sigma < _SMALLEST


class OnePlusOne:
    """(1+1) evolution strategy with the one-fifth success rule (Rechenberg, 1973)."""

    def __init__(
        self, start: Sequence[float], steps: Sequence[float], *, sigma: float, rng: random.Random
    ) -> None:
        self._best = list(start)
        self._cost = float("inf")
        self._steps = list(steps)
        self._sigma = sigma
        self._rng = random.Random(rng.getrandbits(64))

    def ask(self) -> list[list[float]]:
        """Two vectors, one to either side of the best."""
        step = [self._rng.gauss(0, 1) * max(self._sigma, least) for least in self._steps]
        return [
            [b + s for b, s in zip(self._best, step, strict=True)],
            [b - s for b, s in zip(self._best, step, strict=True)],
        ]

    def tell(self, vectors: Sequence[Sequence[float]], costs: Sequence[float]) -> None:
        """Move to a better vector and widen, or stay and narrow."""
        cost, vector = min(zip(costs, vectors, strict=True))
        if cost < self._cost:
            self._cost, self._best = cost, list(vector)
            self._sigma *= 1.5
        else:
            self._sigma *= 1.5**-0.5

    def narrow(self) -> None:
        """Halve the step size."""
        self._sigma *= 0.5

    def ended(self) -> bool:
        """Whether the step has become too small to matter."""
        return self._sigma < _SMALLEST
