"""Centre and interval of paired log-ratios for a number of pairs that was fixed beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, inf, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breeder.errors import ConfigError

EXACT_UP_TO = 60  # pairs; beyond, the normal approximation of the rank sum is good to 1e-3
LAGS = 12
ALARM = 0.01  # probability of widening an interval without need
FEWEST_FOR_LAGS = 32


class Estimate(NamedTuple):
    """Hodges-Lehmann centre of log-ratios with its interval; infinite where too few pairs."""

    centre: float
    low: float
    high: float


def estimate(log_ratios: Sequence[float], *, error: float = 0.05) -> Estimate:
    """Estimate the common log-ratio of pairs, for a sample whose size did not depend on its values.

    Centre: the median of all pairwise means (Hodges and Lehmann 1963). Interval: the values that
    Wilcoxon's signed rank test does not reject, which are the pairwise means of certain ranks.
    With the order within each pair drawn at random the signs about the true value are fair coins
    whatever the machine does, so the test is exact. Should the effect itself wander with the
    machine's state (see `inflation`), the interval is widened by that factor.

    Args:
        log_ratios: log(baseline time / candidate time), finite, in the order they were taken.
        error: probability that the true value is outside.

    Returns:
        Centre, low, high as log-ratios. With fewer pairs than any test at this level can use (six
        at 5 %) the ends are infinite.

    Raises:
        ConfigError: no pairs, a value that is not finite, or `error` not between 0 and 1.
    """
    values = np.sort(np.asarray(log_ratios, dtype=np.float64))
    if not len(values) or not np.isfinite(values).all():
        raise ConfigError("an estimate needs at least one pair, and finite log-ratios")
    if not 0.0 < error < 1.0:
        raise ConfigError(f"error: {error} is not between 0 and 1")
    pairs = len(values) * (len(values) + 1) // 2
    centre = 0.5 * (
        _pairwise_mean(values, (pairs + 1) // 2) + _pairwise_mean(values, pairs // 2 + 1)
    )
    rejected = _rejected_ranks(len(values), error)
    if rejected is None:
        return Estimate(centre, -inf, inf)
    low, high = _pairwise_mean(values, rejected + 1), _pairwise_mean(values, pairs - rejected)
    factor = inflation(log_ratios)
    return Estimate(centre, centre + factor * (low - centre), centre + factor * (high - centre))


def inflation(log_ratios: Sequence[float]) -> float:
    """By how much an interval must be widened because neighbouring pairs agree; 1 if they do not.

    Random order within pairs makes the signs about the true value independent, so autocorrelation
    is evidence that the ratio itself depends on the machine's state. It is looked for with the
    heteroscedasticity-robust portmanteau statistic over the first lags of the clipped deviations
    (Lo and MacKinlay 1989; bursts alone do not trigger it), at the 1 % level. If it is found, the
    factor is the square root of the variance inflation 1 + 2 (r1 + r2 + ...), the sum ended where
    two neighbours are no longer positive together (Geyer 1992). Fewer than 32 pairs give 1.

    Args:
        log_ratios: in the order they were taken.

    Returns:
        A factor of at least 1 for the half-width.
    """
    count = len(log_ratios)
    if count < FEWEST_FOR_LAGS:
        return 1.0
    values = np.asarray(log_ratios, dtype=np.float64)
    values = values - np.median(values)
    bound = 3.0 * float(np.median(np.abs(values)))
    values = np.clip(values, -bound, bound)
    values = values - values.mean()
    lags = min(LAGS, count // 8)
    statistic = 0.0
    for lag in range(1, lags + 1):
        products = values[lag:] * values[:-lag]
        spread = float(products @ products)
        statistic += float(products.sum()) ** 2 / spread if spread else 0.0
    if statistic <= _chi_square_quantile(1.0 - ALARM, lags):
        return 1.0
    return sqrt(_variance_inflation(values))


def _variance_inflation(values: NDArray[np.float64]) -> float:
    count = len(values)
    variance = float(values @ values)
    total = 1.0
    for lag in range(1, count // 4, 2):
        near = float(values[lag:] @ values[:-lag])
        far = float(values[lag + 1 :] @ values[: -lag - 1])
        if near + far <= 0.0:
            break
        total += 2.0 * (near + far) / variance
    return max(1.0, total)


def _pairwise_mean(values: NDArray[np.float64], rank: int) -> float:
    """The `rank`-th smallest (from 1) of the means of all pairs i <= j of sorted values.

    Found by bisection on the number of means below, so memory stays linear in the number of values.
    """
    low, high = float(values[0]), float(values[-1])
    while high - low > 1e-11:
        middle = 0.5 * (low + high)
        below = np.searchsorted(values, 2.0 * middle - values, side="right")
        ordered = int(below.sum())
        diagonal = int(np.searchsorted(values, middle, side="right"))
        if (ordered + diagonal) // 2 >= rank:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=256)
def _rejected_ranks(count: int, error: float) -> int | None:
    """The largest k with P(signed rank sum <= k) <= error / 2; None if there is none."""
    if count > EXACT_UP_TO:
        mean = count * (count + 1) / 4.0
        deviation = sqrt(count * (count + 1) * (2 * count + 1) / 24.0)
        return ceil(mean + NormalDist().inv_cdf(error / 2.0) * deviation - 0.5) - 1
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):
        ways[rank:] += ways[:-rank].copy()
    below = int(np.searchsorted(np.cumsum(ways) / 2.0**count, error / 2.0, side="right"))
    return below - 1 if below else None


def _chi_square_quantile(probability: float, degrees: int) -> float:
    """Quantile of the chi-square distribution (Wilson and Hilferty 1931), good to 1 % here."""
    part = 2.0 / (9.0 * degrees)
    return degrees * (1.0 - part + NormalDist().inv_cdf(probability) * sqrt(part)) ** 3
