"""A confidence sequence: an interval that may be looked at after every value.

Values are log-ratios of paired times, `x = log(baseline / candidate)`, where a coin decided for
every pair anew which of the two ran first. Were the programs equal but for a constant factor
exp(theta), swapping the order within a pair would turn `x - theta` into its negative. So given all
that happened before (drift, bursts, whatever the machine remembers) `x - theta` is symmetric about
zero. Nothing else is assumed: no independence, no moments, no stationarity.
"""

from __future__ import annotations

from array import array
from math import inf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breeder.errors import ConfigError

Values = NDArray[np.float64]

# Huber's corner in units of the standard deviation: 1.345 keeps 95 % of the efficiency on normal
# noise (Huber 1981) and bounds what one preempted run can do.
CLIP = 1.345
MAD_TO_SIGMA = 1.4826
# Earlier values that the scale is taken from: enough to be stable, recent enough to follow bursts.
WINDOW = 64
RESCALE_EVERY = 8
FEW = 4  # with fewer earlier values there is no scale and only the sign of a value counts
SIGN_ONLY = 1e-9  # a clip so narrow that only signs count; log-ratios of clocks are coarser
# Stakes from those that serve a few equal signs (large) to those for thousands of noisy values, the
# most weight on 20 to 500. Chosen by the widths they give on normal noise.
STAKES: Values = np.geomspace(0.06, 3.0, 8)
WEIGHTS: Values = np.exp(-0.5 * np.log(STAKES / 0.5) ** 2)
LOG_WEIGHTS: Values = np.log(WEIGHTS / WEIGHTS.sum())
BELOW, ABOVE = 0, 1


class Interval(NamedTuple):
    """Ends of an interval of a log-ratio; infinite while too few values are known."""

    low: float
    high: float


class ConfidenceSequence:
    """Interval of the centre of symmetry of values that come one by one; valid at all times.

    With y = clip((x - theta) / c, -1, 1), symmetry given the past makes the product of
    exp(lambda y) / cosh(lambda y) = 1 + tanh(lambda y) a martingale for every lambda. (Its better
    known bound exp(lambda y - lambda² y² / 2) is the self-normalised process of de la Peña 1999, "A
    general class of exponential inequalities for martingales and ratios"; the time-uniform use of
    both is in Howard, Ramdas, McAuliffe and Sekhon 2020, "Time-uniform Chernoff bounds via
    nonnegative supermartingales"; that the bound gives away power is shown for symmetric values in
    Ramdas, Ruf, Larsson and Koolen 2020, "Admissible anytime-valid sequential inference must rely
    on nonnegative martingales".) A fixed mixture over positive lambda is one too, and by Ville's
    inequality ever exceeds 2 / error with probability at most error / 2; the mixture over negative
    ones guards the other side. The interval holds the theta for which
    neither has. Both are monotone in theta, so it is an interval exactly.

    The clip c is taken from earlier values only, so it is fixed when a value comes and symmetry
    survives it; it bounds heavy tails and gives quiet times the greater weight.

    Args:
        error: probability that the true centre is ever outside.
        earlier: values known beforehand (warm-up); they set the first scale and count for nothing.

    Raises:
        ConfigError: `error` is not between 0 and 1.
    """

    def __init__(self, *, error: float = 0.05, earlier: tuple[float, ...] = ()) -> None:
        if not 0.0 < error < 1.0:
            raise ConfigError(f"error: {error} is not between 0 and 1")
        self._needed = log(2.0 / error)
        self._recent = list(earlier[-WINDOW:])
        self._values = array("d")
        self._clips = array("d")
        self._clip = _clip(self._recent)
        self._asked: dict[float, tuple[int, Values]] = {}

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> Values:
        """Every value added, in order, as a copy of shape (n,)."""
        return np.array(self._values)

    def add(self, value: float) -> None:
        """Take one more value, a finite log-ratio. Costs a constant time."""
        self._values.append(value)
        self._clips.append(self._clip)
        self._recent.append(value)
        if len(self._recent) < 4 * RESCALE_EVERY or len(self._values) % RESCALE_EVERY == 0:
            del self._recent[:-WINDOW]
            self._clip = _clip(self._recent)

    def rejects(self, centre: float) -> bool:
        """Whether the values so far contradict that `centre` (a log-ratio) is the true one.

        What was summed for a centre is kept: asking again costs only the values since.
        """
        done, sums = self._asked.get(centre, (0, np.zeros((2, len(STAKES)))))
        values, clips = np.array(self._values[done:]), np.array(self._clips[done:])
        sums = sums + _winnings(values, clips, centre)
        self._asked[centre] = len(self._values), sums
        return bool((_mixed(sums) > self._needed).any())

    def interval(self) -> Interval:
        """The log-ratios that are not rejected now; costs a few dozen passes over the values."""
        if not self._values:
            return Interval(-inf, inf)
        middle = self.centre()
        return Interval(self._end(middle, BELOW), self._end(middle, ABOVE))

    def centre(self) -> float:
        """The theta at which the clipped values sum to zero (Huber's estimate of location).

        Raises:
            ConfigError: no value was added.
        """
        if not self._values:
            raise ConfigError("a centre needs at least one value")
        values, clips = np.array(self._values), np.array(self._clips)
        low, high = float(values.min()), float(values.max())
        while high - low > 1e-12:
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            if _clipped(values, clips, middle).sum() > 0.0:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    def _end(self, middle: float, side: int) -> float:
        """The nearest rejected theta on one side of the middle."""
        values, clips = np.array(self._values), np.array(self._clips)
        sign = -1.0 if side == BELOW else 1.0

        def rejected(distance: float) -> bool:
            winnings = _winnings(values, clips, middle + sign * distance)
            return bool(_mixed(winnings)[side] > self._needed)

        furthest = float(np.abs(values - middle).max() + clips.max())
        if not rejected(furthest):
            return sign * inf
        inside, outside = 0.0, min(float(np.median(clips)) / sqrt(len(values)), furthest)
        while not rejected(outside):
            inside, outside = outside, min(2.0 * outside, furthest)
        while outside - inside > 1e-4 * outside + 1e-12:
            halfway = 0.5 * (inside + outside)
            if rejected(halfway):
                outside = halfway
            else:
                inside = halfway
        return middle + sign * outside


def _winnings(values: Values, clips: Values, centre: float) -> Values:
    """Sums of log(1 + tanh(lambda y)) and of log(1 - tanh(lambda y)), of shape (2, stakes).

    The first grow when values lie above the centre, so they reject what is too far below.
    """
    clipped = _clipped(values, clips, centre)
    logs = np.log1p(np.exp(np.multiply.outer(-2.0 * STAKES, clipped))).sum(axis=1)
    above: Values = len(values) * log(2.0) - logs
    return np.stack((above, above - 2.0 * STAKES * clipped.sum()))


def _mixed(winnings: Values) -> Values:
    mixed: Values = np.logaddexp.reduce(winnings + LOG_WEIGHTS, axis=1)
    return mixed


def _clipped(values: Values, clips: Values, centre: float) -> Values:
    scaled: Values = (values - centre) / clips
    return np.clip(scaled, -1.0, 1.0, out=scaled)


def _clip(recent: list[float]) -> float:
    """Where to clip the next value, from the values before it."""
    if len(recent) < FEW:
        return SIGN_ONLY
    known = np.array(recent)
    deviation = float(np.median(np.abs(known - np.median(known))))
    return max(CLIP * MAD_TO_SIGMA * deviation, SIGN_ONLY)
