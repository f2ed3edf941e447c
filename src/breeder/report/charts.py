"""What a chart shows, apart from how it is drawn: `svg` and `png` both render these."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

ACCENT, FAILED = -1, -2
"""Colour indices that are no index of the palette: the champion's colour and that of failures."""

Kind = Literal["points", "steps", "area", "rug", "markers"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One set of marks in a plot.

    Attributes:
        kind: `points` are small dots, `markers` large ones with `labels`, `steps` a staircase,
            `area` the space between `base` and `ys`, `rug` ticks along the lower edge.
        name: legend entry; empty for none.
        colour: index of the palette, `ACCENT` or `FAILED`.
        xs: positions.
        ys: values, as many as `xs`; ignored by `rug`.
        base: lower border of an `area`.
        labels: one text per marker.
    """

    kind: Kind
    name: str
    colour: int
    xs: Sequence[float]
    ys: Sequence[float] = ()
    base: Sequence[float] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A horizontal line: the start or a baseline."""

    name: str
    value: float
    colour: int


@dataclass(frozen=True, slots=True)
class Plot:
    """Marks over two axes. Values outside the ranges are drawn at the edge.

    Attributes:
        key: file name of the PNG, without suffix.
        title: heading.
        x_label: what the horizontal axis counts, with its unit.
        y_label: what the vertical axis shows, with its unit.
        x_range: lowest and highest position.
        y_range: lowest and highest value.
        layers: drawn in order.
        references: horizontal lines.
        note: one line under the chart; empty for none.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    layers: tuple[Layer, ...]
    references: tuple[Reference, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars: label -> value, with the unit of the values."""

    key: str
    title: str
    unit: str
    values: Mapping[str, float]
    colours: Sequence[int] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Cells coloured by value.

    Attributes:
        key: file name of the PNG, without suffix.
        title: heading.
        x_label: name of the horizontal dimension.
        y_label: name of the vertical dimension.
        x_ticks: text at the lower border of each column.
        y_ticks: text of each row, the lowest first.
        cells: (column, row) -> (colour strength from 0 to 1, text).
        note: one line under the chart.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[str]
    y_ticks: Sequence[str]
    cells: Mapping[tuple[int, int], tuple[float, str]]
    note: str = ""


Chart = Plot | Bars | Heatmap


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round positions within [low, high] (Heckbert 1990)."""
    if not low < high:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12 - math.floor(math.log10(step))) for n in range(first, last + 1)]


def tick_text(value: float, step: float) -> str:
    """Write a tick with as many digits as its distance to the next one needs."""
    if value == 0:
        return "0"
    if abs(value) >= 1e7 or abs(value) < 1e-4:
        return f"{value:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    text = f"{value:,.{min(digits + 1, 12)}f}" if digits else f"{value:,.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
