"""The grid of MAP-Elites: which cell a program belongs to (Mouret and Clune 2015)."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence

from breeder.core import Program
from breeder.errors import EvaluatorError, TaskError
from breeder.task import FeatureSection

SIZE = "size"
DEFAULT_FEATURES = (FeatureSection(name=SIZE, low=8, high=4096, bins=8, log=True),)

Cell = tuple[int, ...]


class Grid:
    """Maps a program and its metrics to a cell: one bin per feature, clamped at both ends.

    Args:
        features: dimensions; `size` is the program's number of syntax-tree nodes, every other name
            a metric. With none, the grid is eight logarithmic bins of size.

    Attributes:
        features: the dimensions in use, in the order of a cell's coordinates.
        edges: per feature, the `bins - 1` values at which the next bin begins.

    Raises:
        TaskError: two features of one name.
    """

    def __init__(self, features: Sequence[FeatureSection] = ()) -> None:
        self.features = tuple(features) or DEFAULT_FEATURES
        self.edges = tuple(_edges(feature) for feature in self.features)
        names = [feature.name for feature in self.features]
        for name in names:
            if names.count(name) > 1:
                raise TaskError(
                    "task.toml", f"feature.{name}", "is declared twice", "remove one of them"
                )

    def cell(self, program: Program, metrics: Mapping[str, float]) -> Cell:
        """Return the cell of a program.

        Raises:
            EvaluatorError: a feature is not among the metrics.
        """
        return tuple(
            bisect(edges, program.size if feature.name == SIZE else _metric(metrics, feature.name))
            for feature, edges in zip(self.features, self.edges, strict=True)
        )

    def __len__(self) -> int:
        """Number of cells."""
        product = 1
        for edges in self.edges:
            product *= len(edges) + 1
        return product


def _metric(metrics: Mapping[str, float], name: str) -> float:
    try:
        return metrics[name]
    except KeyError:
        known = ", ".join(sorted(metrics)) or "none"
        raise EvaluatorError(
            f"feature {name!r} is not among the metrics ({known}); "
            "return it from evaluate.py or correct [[feature]] in task.toml"
        ) from None


def _edges(feature: FeatureSection) -> tuple[float, ...]:
    steps = range(1, feature.bins)
    if feature.log:
        ratio = feature.high / feature.low
        return tuple(feature.low * ratio ** (step / feature.bins) for step in steps)
    span = feature.high - feature.low
    return tuple(feature.low + span * step / feature.bins for step in steps)
