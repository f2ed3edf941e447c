"""A generative model of timing noise, fitted to samples of one machine, to try statistics on.

Times of one and the same work on a shared machine have a floor, above which they are about
lognormal and remember their predecessors; now and then a single sample is far out (an interrupt, a
page fault), now and then a stretch of them is (a neighbour on the same cache), and the machine
drifts. The model has one ingredient for each:

    seconds = scale * walk * (floor + exp(location + sigma * z)) * burst * outlier

- core: shifted lognormal, fitted by three quantiles (Aitchison & Brown, The Lognormal
  Distribution, 1957, section 6.24); z is standard normal, a share of its variance an AR(1) process;
- outliers: single samples, `exp(outlier_from + Exp(outlier_mean))` times as long: a Pareto tail;
- bursts: a two-state Markov chain (Gilbert 1960) whose bad state lasts a factor `exp(burst_level)`;
- drift: a random walk of the logarithm.

Made for CPU times. Wall times of preempted threads cluster at multiples of the scheduler's slice,
which no single core distribution has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

FEWEST_PAIRS = 100
_TAIL = 0.2  # the core is fitted to the quantiles at this, 0.5 and 1 - this
_NORMAL_QUANTILE = 0.8416212335729143  # of 1 - _TAIL
_HIGH = 2.0  # z of a sample that may belong to a burst
_FAR = 3.0  # z of a sample that is an outlier if it belongs to none
_FITS = 3
_WINDOW = 5  # a burst is where most of so many neighbouring samples are high
_BLOCK = 100  # samples over which the drift is judged
_NEAR, _LATER = (1, 2, 3), (8, 9, 10)  # lags where the autocorrelation of z is read


class Ingredient(StrEnum):
    """What `NoiseModel.exaggerated` can overdo."""

    DRIFT = "drift"
    BURSTS = "bursts"
    OUTLIERS = "heavy tail"


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Parameters of the noise, per sample; see the module for the formula.

    Attributes:
        scale: median of the samples it was fitted to, in seconds.
        floor, location, sigma: the core, in units of `scale`.
        persistence: correlation of the remembered part of z from sample to sample.
        remembered: share of the variance of z that is remembered.
        drift: standard deviation of a step of the walk.
        burst_start, burst_end: probabilities of entering and of leaving a burst.
        burst_level: logarithm of the factor in a burst.
        outliers: probability of an outlier outside bursts.
        outlier_from, outlier_mean: least and additional mean logarithm of its factor.
    """

    scale: float
    floor: float
    location: float
    sigma: float
    persistence: float
    remembered: float
    drift: float
    burst_start: float
    burst_end: float
    burst_level: float
    outliers: float
    outlier_from: float
    outlier_mean: float

    @classmethod
    def fit(
        cls, baseline: Sequence[float] | Samples, candidate: Sequence[float] | Samples
    ) -> NoiseModel:
        """Fit to seconds of interleaved pairs, in the order in which they were taken.

        A constant ratio between the two does not matter.

        Raises:
            ValueError: fewer than 100 pairs, unequal numbers, or a time that is not positive.
        """
        if len(baseline) != len(candidate):
            raise ValueError("the noise model needs equal numbers of both sides")
        pairs = np.array([baseline, candidate], dtype=np.float64)
        if pairs.shape[1] < FEWEST_PAIRS or not np.all(pairs > 0):
            raise ValueError(f"the noise model needs {FEWEST_PAIRS} pairs of positive times")
        scale = float(np.median(pairs[0]))
        levelled = pairs / np.median(pairs, axis=1, keepdims=True)
        relative, drift = _without_drift(levelled.T.ravel())
        floor, location, sigma, z = _core(relative)
        bursts, out = _far_out(z)
        start, end, level = _burst_parameters(relative, bursts)
        share, least, mean = _outlier_parameters(relative, bursts, out)
        persistence, remembered = _memory(np.clip(z[~bursts], -_FAR, _FAR))
        core = (scale, floor, location, sigma, persistence, remembered, drift)
        return cls(*core, start, end, level, share, least, mean)

    def draw(self, rng: np.random.Generator, n: int) -> Samples:
        """Seconds of `n` consecutive samples."""
        white = rng.standard_normal(n)
        state = rng.standard_normal(n)
        state[1:] *= np.sqrt(1 - self.persistence**2)
        kept = self.persistence
        slow = np.fromiter(accumulate(state.tolist(), lambda old, new: kept * old + new), float, n)
        z = np.sqrt(self.remembered) * slow + np.sqrt(1 - self.remembered) * white
        bursts = self._states(rng, n)
        logarithm = np.log(self.floor + np.exp(self.location + self.sigma * z))
        logarithm += np.cumsum(self.drift * rng.standard_normal(n)) + self.burst_level * bursts
        out = (rng.random(n) < self.outliers) & ~bursts
        logarithm += out * (self.outlier_from + self.outlier_mean * rng.standard_exponential(n))
        return np.asarray(self.scale * np.exp(logarithm), dtype=np.float64)

    def draw_pairs(
        self, rng: np.random.Generator, n: int, ratio: float = 1.0
    ) -> tuple[Samples, Samples]:
        """Seconds of `n` baseline and `n` candidate samples, each pair adjacent in random order.

        Args:
            rng: where the noise comes from.
            n: number of pairs.
            ratio: true baseline time over candidate time.
        """
        pairs = self.draw(rng, 2 * n).reshape(n, 2)
        first = rng.integers(0, 2, n)
        rows = np.arange(n)
        return pairs[rows, first], pairs[rows, 1 - first] / ratio

    def exaggerated(self, *ingredients: Ingredient) -> NoiseModel:
        """The same with some ingredients at thrice what was fitted, and at least plainly there."""
        model = self
        if Ingredient.DRIFT in ingredients:
            model = replace(model, drift=max(3 * self.drift, 0.004))
        if Ingredient.BURSTS in ingredients:
            share = min(0.4, max(3 * self.burst_share, 0.15))
            end = min(self.burst_end, 0.05)
            start = end * share / (1 - share)
            level = max(self.burst_level, 0.4)
            model = replace(model, burst_start=start, burst_end=end, burst_level=level)
        if Ingredient.OUTLIERS in ingredients:
            share = min(0.3, max(3 * self.outliers, 0.1))
            mean = max(2 * self.outlier_mean, 0.3)
            model = replace(model, outliers=share, outlier_mean=mean)
        return model

    @property
    def burst_share(self) -> float:
        """Share of the samples that lie in bursts, in the long run."""
        total = self.burst_start + self.burst_end
        return self.burst_start / total if total else 0.0

    def _states(self, rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
        """Whether each sample lies in a burst: sojourns of geometric length, taking turns."""
        if not self.burst_start:
            return np.zeros(n, dtype=np.bool_)
        state = bool(rng.random() < self.burst_share)
        parts: list[NDArray[np.bool_]] = []
        length = 0
        while length < n:
            stay = int(rng.geometric(self.burst_end if state else self.burst_start))
            parts.append(np.full(min(stay, n - length), state))
            length += stay
            state = not state
        return np.concatenate(parts)


def in_bursts(seconds: Samples) -> NDArray[np.bool_]:
    """Which of some consecutive samples lie in a burst, by the rule that the fit goes by."""
    relative, _ = _without_drift(seconds / np.median(seconds))
    return _far_out(_core(relative)[3])[0]


def _without_drift(relative: Samples) -> tuple[Samples, float]:
    """Samples with the walk taken out, and the standard deviation of its steps.

    Medians of blocks that are k blocks apart differ with variance 2 V + (k - 1/3) B step^2, where V
    is the variance of a median and B the block length: k = 1 and k = 3 together give the step.
    Over n samples a walk varies by n step^2 / 6 about its mean, which the medians must show too: an
    excursion that came back is no walk.
    """
    blocks = len(relative) // _BLOCK
    if blocks < 6:
        return relative, 0.0
    logarithm = np.log(relative)
    medians = np.median(logarithm[: blocks * _BLOCK].reshape(blocks, _BLOCK), axis=1)
    near, far = (_variance(medians[k:] - medians[:-k]) for k in (1, 3))
    shown = 6 * _variance(medians - np.median(medians)) / len(relative)
    step = min(max(0.0, (far - near) / (2 * _BLOCK)), shown) ** 0.5
    if step == 0.0:
        return relative, 0.0
    centres = (np.arange(blocks) + 0.5) * _BLOCK
    walk = np.interp(np.arange(len(relative)), centres, medians - np.median(medians))
    return np.exp(logarithm - walk), step


def _variance(differences: Samples) -> float:
    """Of normal values about 0, from their median square: a burst must not pass for a drift."""
    return float(np.median(differences**2)) / 0.4549


def _core(relative: Samples) -> tuple[float, float, float, Samples]:
    """Floor, location and sigma of the core, and the z of every sample.

    Bursts shift the quantiles; what looks like one is left out of the next of three fits.
    """
    kept = relative
    for _ in range(_FITS):
        floor, location, sigma = _shifted_lognormal(kept)
        z = _standardised(relative, floor, location, sigma)
        kept = relative[~_far_out(z)[0]]
    return floor, location, sigma, z


def _shifted_lognormal(relative: Samples) -> tuple[float, float, float]:
    low, middle, high = np.quantile(relative, (_TAIL, 0.5, 1 - _TAIL)).tolist()
    skew = low + high - 2 * middle
    # Without a right skew the floor would be anywhere; far below, the core is almost normal.
    least = max(0.0, middle - 20 * max(high - low, 1e-6))
    floor = max((low * high - middle**2) / skew, least) if skew > 0 else least
    location = float(np.log(middle - floor))
    sigma = float(np.log((high - floor) / (middle - floor)) / _NORMAL_QUANTILE)
    return floor, location, max(sigma, 1e-9)


def _standardised(relative: Samples, floor: float, location: float, sigma: float) -> Samples:
    above = np.maximum(relative - floor, np.exp(location - 8 * sigma))
    return np.asarray((np.log(above) - location) / sigma, dtype=np.float64)


def _far_out(z: Samples) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which samples lie in bursts, and which of the others are far out on their own."""
    counts = np.convolve(z > _HIGH, np.ones(_WINDOW), mode="same")
    bursts = counts > _WINDOW / 2
    return bursts, (z > _FAR) & ~bursts


def _burst_parameters(relative: Samples, bursts: NDArray[np.bool_]) -> tuple[float, float, float]:
    if not bursts.any():
        return 0.0, 1.0, 0.0
    entered = int(np.sum(bursts[1:] & ~bursts[:-1])) + int(bursts[0])
    inside = int(np.sum(bursts))
    level = float(np.median(np.log(relative[bursts])))
    return entered / max(1, len(bursts) - inside), min(1.0, entered / inside), level


def _outlier_parameters(
    relative: Samples, bursts: NDArray[np.bool_], out: NDArray[np.bool_]
) -> tuple[float, float, float]:
    if not out.any():
        return 0.0, 0.0, 0.0
    logarithms = np.log(relative[out])
    least = float(np.min(logarithms))
    return float(np.sum(out) / np.sum(~bursts)), least, float(np.mean(logarithms)) - least


def _memory(z: Samples) -> tuple[float, float]:
    """Persistence and share of an AR(1) process within white noise, from autocorrelations."""
    centred = z - np.mean(z)
    power = float(np.mean(centred**2))
    if power == 0:
        return 0.0, 0.0
    near, far = (
        float(np.mean([np.mean(centred[k:] * centred[:-k]) for k in lags])) / power
        for lags in (_NEAR, _LATER)
    )
    if near <= 0:
        return 0.0, 0.0
    persistence = min(0.99, (max(far, 0.01 * near) / near) ** (1 / (_LATER[1] - _NEAR[1])))
    return persistence, min(1.0, near / persistence ** _NEAR[1])
