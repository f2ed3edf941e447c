"""How finely this machine can time: the same code against itself, by kind of work."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, sqrt

import numpy as np

from breeder.measurement.clocks import CROWDED, processor_share
from breeder.measurement.comparison import Clock, Spent, Work
from breeder.measurement.sequence import CLIP, MAD_TO_SIGMA, SIGN_ONLY, ConfidenceSequence
from breeder.measurement.workloads import Kind, twins

FEWEST_PAIRS = 12
WARM_UP = 5  # pairs
_POWER_QUANTILE = 0.8416212335729143  # of the standard normal at 80 %
_FOLLOWED = 20_000  # more pairs than this are not counted on


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What comparing a kind of work with itself came to.

    Attributes:
        kind: what bounds the speed of the work.
        clock: which clock decides comparisons of such work here, and was read.
        batch_seconds: median time of one sample by that clock.
        pair_seconds: elapsed time per pair, everything included.
        spread: standard deviation of the log-ratio of a pair, by its median absolute deviation.
        autocorrelation: of neighbouring log-ratios, clipped at three spreads; random order within
            pairs keeps it near 0.
        processor_share: CPU time per thread over elapsed time of the samples; what is missing from
            1 was taken by other work, or spent waiting for the other thread.
        log_ratios: of every pair, in order.
    """

    kind: Kind
    clock: Clock
    batch_seconds: float
    pair_seconds: float
    spread: float
    autocorrelation: float
    processor_share: float
    log_ratios: tuple[float, ...]

    def resolvable(self, seconds: float, *, error: float = 0.05) -> float:
        """Smallest relative difference that `compare` detects 4 times in 5 within a budget.

        The half-width that a `ConfidenceSequence` has at the end of the budget on noise like this,
        and 0.84 standard errors of its centre. Earlier looks only help. Infinite when the budget
        holds too few pairs. Measured with a margin of 0: a larger one may say "no difference"
        before a difference below it is detected.
        """
        pairs = min(int(seconds / self.pair_seconds), _FOLLOWED)
        if pairs < FEWEST_PAIRS:
            return inf
        noise = np.array(self.log_ratios) - np.median(self.log_ratios)
        rng = np.random.default_rng(0)
        # Signs are coins, because the order within pairs is; opposite ones put the centre at 0.
        drawn = rng.choice(np.abs(noise), pairs) * np.resize((1.0, -1.0), pairs)
        sequence = ConfidenceSequence(error=error)
        for value in drawn.tolist():
            sequence.add(value)
        low, high = sequence.interval()
        clip = max(CLIP * self.spread, SIGN_ONLY)
        slope = float(np.mean(np.abs(noise) <= clip))
        deviation = sqrt(float(np.mean(np.clip(noise, -clip, clip) ** 2))) / slope
        return _exp(0.5 * (high - low) + _POWER_QUANTILE * deviation / sqrt(pairs)) - 1.0


def measure(
    kind: Kind,
    seconds: float,
    rng: random.Random,
    *,
    works: tuple[Work, Work] | None = None,
) -> NoiseFloor:
    """Time a kind of work against itself, interleaved in random order.

    Args:
        kind: what bounds the speed of the work.
        seconds: how long to measure; at least 12 pairs are taken.
        rng: decides the order within pairs.
        works: two works to time instead of the twins of that kind.
    """
    works = works or twins(kind)
    clock = _clock(kind)
    for _ in range(WARM_UP):
        works[0](), works[1]()
    pairs: list[tuple[Spent, Spent]] = []
    begin = time.perf_counter()
    while len(pairs) < FEWEST_PAIRS or time.perf_counter() - begin < seconds:
        first = works[0]() if rng.random() < 0.5 else None
        second = works[1]()
        pairs.append((first or works[0](), second))
    return _summary(kind, clock, pairs, (time.perf_counter() - begin) / len(pairs))


def _clock(kind: Kind) -> Clock:
    """The clock that `compare` would go by."""
    if kind.threads == 1 or processor_share(kind.threads) < CROWDED:
        return "cpu"
    return "wall"


def _summary(
    kind: Kind, clock: Clock, pairs: Sequence[tuple[Spent, Spent]], pair_seconds: float
) -> NoiseFloor:
    spent = np.array(pairs)  # pair, side, CPU or wall
    seconds = np.maximum(spent[:, :, 0 if clock == "cpu" else 1], 1e-9)  # a coarse clock says 0
    ratios = np.log(seconds[:, 0] / seconds[:, 1])
    deviations = ratios - np.median(ratios)
    spread = MAD_TO_SIGMA * float(np.median(np.abs(deviations)))
    used, elapsed = spent.sum(axis=(0, 1)).tolist()
    return NoiseFloor(
        kind=kind,
        clock=clock,
        batch_seconds=float(np.median(seconds[:, 0])),
        pair_seconds=pair_seconds,
        spread=spread,
        autocorrelation=_autocorrelation(np.clip(deviations, -3 * spread, 3 * spread)),
        processor_share=min(1.0, used / (kind.threads * elapsed)) if elapsed > 0 else 1.0,
        log_ratios=tuple(ratios.tolist()),
    )


def _autocorrelation(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    centred = values - values.mean()
    power = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / power if power > 0 else 0.0


def _exp(value: float) -> float:
    return exp(value) if value < 700.0 else inf
