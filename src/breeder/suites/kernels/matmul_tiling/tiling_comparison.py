"""Times named choices of tilings against each other on fresh rounds, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tiling_clock import Clock
from tiling_family import Family, Shape, Tiling
from tiling_times import QUANTILE

RESAMPLES = 400


class Ratio(NamedTuple):
    """A geometric mean over shapes with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds of every choice on every shape, all measured in the same rounds.

    Attributes:
        shapes: what was multiplied.
        seconds: choice -> one array of rounds for each shape; choices that do the same work on a
            shape share the array, so that their ratio there is exactly 1.
    """

    shapes: tuple[Shape, ...]
    seconds: Mapping[str, tuple[npt.NDArray[np.float64], ...]]

    def per_shape(self, slow: str, fast: str) -> npt.NDArray[np.float64]:
        """Time of `slow` over time of `fast` on each shape, from lower quartiles over rounds."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return np.array([np.quantile(s, QUANTILE) / np.quantile(f, QUANTILE) for s, f in pairs])

    def ratio(self, slow: str, fast: str, *, over_shapes: bool = False) -> Ratio:
        """Geometric mean of `slow / fast`: how many times faster `fast` is.

        The interval resamples rounds, paired, within each shape: the error of measurement on these
        shapes. With `over_shapes` it resamples shapes as well: what other shapes of the same kinds
        may give.
        """
        rng = np.random.default_rng(0)
        logs = np.empty((RESAMPLES, len(self.shapes)))
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        for column, (s, f) in enumerate(pairs):
            rounds = rng.integers(0, len(s), (RESAMPLES, len(s)))
            quartiles = [np.quantile(x[rounds], QUANTILE, axis=1) for x in (s, f)]
            logs[:, column] = np.log(quartiles[0] / quartiles[1])
        if over_shapes:
            drawn = rng.integers(0, len(self.shapes), logs.shape)
            logs = np.take_along_axis(logs, drawn, axis=1)
        low, high = np.exp(np.quantile(logs.mean(axis=1), (0.025, 0.975)))
        value = float(np.exp(np.log(self.per_shape(slow, fast)).mean()))
        return Ratio(value, float(low), float(high))


def compare(
    family: Family,
    clock: Clock,
    shapes: Sequence[Shape],
    choices: Mapping[str, Sequence[Tiling]],
    *,
    rounds: int,
) -> Comparison:
    """Measure every choice (one tiling per shape) interleaved, `rounds` times, nothing reused."""
    seconds: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in choices}
    for index, shape in enumerate(shapes):
        chosen = {name: family.on(shape, tilings[index]) for name, tilings in choices.items()}
        distinct = list(dict.fromkeys(chosen.values()))
        table = np.array([clock.round(shape, distinct) for _ in range(rounds)])
        for name, tiling in chosen.items():
            seconds[name].append(table[:, distinct.index(tiling)])
    return Comparison(tuple(shapes), {name: tuple(rows) for name, rows in seconds.items()})
