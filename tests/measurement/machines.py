"""Simulated machines: time passes as the noise says, and no real clock is read."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from breeder.measurement import Spent, Work


@dataclass(frozen=True)
class Noise:
    """Ingredients of the log-time of one run; every one remembers or hits single runs."""

    core: float = 0.05
    drift: float = 0.0  # a random walk's step
    remembered: float = 0.0  # standard deviation of an AR(1) process with coefficient 0.9
    bursts: float = 0.0  # share of runs that start a burst of about 20 runs
    tail: float = 0.0  # share of runs that are far out (Pareto, infinite variance)


QUIET = Noise(core=0.01)
NASTY = Noise(core=0.05, drift=0.02, remembered=0.03, bursts=0.01, tail=0.08)


class Machine:
    """Makes work that takes `seconds` on a quiet machine, and keeps the order of all runs."""

    def __init__(self, noise: Noise, seed: int, *, share: float = 1.0) -> None:
        self.noise, self.share = noise, share
        self.rng = random.Random(seed)
        self.runs: list[str] = []
        self._walk = self._state = 0.0
        self._burst = False

    def work(self, name: str, seconds: float) -> Work:
        def run() -> Spent:
            self.runs.append(name)
            cpu = seconds * math.exp(self.step())
            return Spent(cpu, cpu / self.share)

        return run

    def step(self) -> float:
        """The noise of the next run, as a logarithm."""
        noise, rng = self.noise, self.rng
        self._walk += rng.gauss(0.0, noise.drift)
        self._state = 0.9 * self._state + 0.436 * rng.gauss(0.0, noise.remembered)
        self._burst = rng.random() < (0.95 if self._burst else noise.bursts)
        value = self._walk + self._state + rng.gauss(0.0, noise.core)
        if self._burst:
            value += abs(rng.gauss(0.0, 0.5))
        if rng.random() < noise.tail:
            value += rng.paretovariate(1.5)
        return value

    def log_ratios(self, count: int, ratio: float = 1.0) -> list[float]:
        """Log-ratios of pairs in random order, whose true ratio is `ratio`."""
        values = []
        for _ in range(count):
            first, second = self.step(), self.step()
            sign = 1.0 if self.rng.random() < 0.5 else -1.0
            values.append(math.log(ratio) + sign * (first - second))
        return values
