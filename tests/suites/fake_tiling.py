"""The matmul tiling task's modules under fake clocks, for its tests."""

import importlib
import random
from pathlib import Path

import breeder.suites
from breeder.evaluation.loading import load_evaluator

FOLDER = Path(breeder.suites.__file__).parent / "kernels" / "matmul_tiling"
evaluate = load_evaluator(FOLDER, "evaluate.py")
comparison = importlib.import_module("tiling_comparison")
family = importlib.import_module("tiling_family")
grid = importlib.import_module("tiling_grid")
shapes = importlib.import_module("tiling_shapes")
times = importlib.import_module("tiling_times")
trials = importlib.import_module("tiling_trials")

Family, Shape, TEXTBOOK = family.Family, family.Shape, family.TEXTBOOK
Memo, Rule, Speedups = times.Memo, times.Rule, times.Speedups

WIDE = Family(16, (14, 14, 9, 6, 5, 4))
NARROW = Family(8, (14, 6, 4, 2, 2, 1))
SHAPE = Shape(256, 256, 256)


class FakeClock:
    """Times by a formula, with a disturbance on every fifth batch."""

    def __init__(self, cost) -> None:
        self.cost = cost
        self.batches = 0

    def round(self, shape, tilings):
        seconds = []
        for tiling in tilings:
            self.batches += 1
            seconds.append(self.cost(shape, tiling) * (3.0 if self.batches % 5 == 0 else 1.0))
        return seconds


def packing_costs(shape, tiling):
    """Reading in place is worth a third; the rest makes no difference."""
    return 1e-3 * (1.0 + 0.25 * tiling.pack_a + 0.25 * tiling.pack_b)


def fake_speedups(cost=packing_costs, memo=None, **rounds):
    clock = FakeClock(cost)
    return Speedups(WIDE, clock, memo or Memo(":memory:"), rule=Rule(**rounds)), clock


class Choice:
    """A candidate that answers with a function of the shape."""

    seed = 3

    def __init__(self, rule, *, to_beat=None) -> None:
        self.rule = rule
        self.to_beat = to_beat

    def call(self, function, rows, **_limits):
        assert function == "tilings"
        return self.rule(rows)


class NoisyClock(FakeClock):
    """Times by a formula with log-normal noise and, now and then, a preempted batch."""

    def __init__(self, cost, seed) -> None:
        super().__init__(cost)
        self.draw = random.Random(seed)

    def round(self, shape, tilings):
        noise = [self.draw.lognormvariate(0, 0.08) for _ in tilings]
        return [
            self.cost(shape, t) * x * (4.0 if self.draw.random() < 0.05 else 1.0)
            for t, x in zip(tilings, noise, strict=True)
        ]
