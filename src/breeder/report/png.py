"""Charts as PNG files, for slides and papers. Matplotlib is imported on first use: it is slow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from breeder.report.charts import ACCENT, FAILED, Bars, Chart, Heatmap, Layer, Plot

# Okabe and Ito's palette, safe for colour-blind readers.
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#a69500", "#888888",
)  # fmt: skip
ACCENT_COLOUR, FAILED_COLOUR = "#b3001b", "#777777"
DPI = 130


def write(chart: Chart, folder: Path, warnings: Sequence[str] = ()) -> Path:
    """Draw a chart into `folder/KEY.png`, with the run's warnings on it, and return that path.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # No pyplot: its global state and display detection have no place in a library.
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(chart.title, loc="left", fontsize=11)
    if warnings:
        figure.suptitle(" · ".join(warnings), color=ACCENT_COLOUR, fontsize=11, weight="bold")
    if isinstance(chart, Plot):
        _plot(axes, chart)
    elif isinstance(chart, Bars):
        _bars(axes, chart)
    else:
        _heatmap(axes, chart)
    axes.spines[["top", "right"]].set_visible(False)
    path = folder / f"{chart.key}.png"
    figure.savefig(path, dpi=DPI)
    return path


def _colour(index: int) -> str:
    return {ACCENT: ACCENT_COLOUR, FAILED: FAILED_COLOUR}.get(index) or PALETTE[
        index % len(PALETTE)
    ]


def _plot(axes: Any, plot: Plot) -> None:
    low, high = plot.y_range
    for layer in plot.layers:
        if layer.xs:
            _layer(axes, layer, plot.y_range)
    for reference in plot.references:
        if low <= reference.value <= high:
            axes.axhline(
                reference.value,
                color=_colour(reference.colour),
                linestyle="--",
                linewidth=1.2,
                label=f"{reference.name} {reference.value:.6g}",
            )
    axes.set_xlim(*plot.x_range)
    axes.set_ylim(low, high)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.grid(axis="y", alpha=0.25)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _layer(axes: Any, layer: Layer, y_range: tuple[float, float]) -> None:
    low, high = y_range
    colour, name = _colour(layer.colour), layer.name or None
    ys = [min(high, max(low, y)) for y in layer.ys]
    if layer.kind == "rug":
        axes.plot(layer.xs, [low] * len(layer.xs), "|", color=colour, alpha=0.5, label=name)
    elif layer.kind == "points":
        axes.plot(layer.xs, ys, ".", color=colour, markersize=3, alpha=0.5, label=name)
    elif layer.kind == "markers":
        axes.plot(layer.xs, ys, "o", color=colour, markersize=4, label=name)
    elif layer.kind == "area":
        axes.fill_between(layer.xs, layer.base, layer.ys, color=colour, alpha=0.8, label=name)
    else:
        axes.step(layer.xs, ys, where="post", color=colour, linewidth=1.8, label=name)


def _bars(axes: Any, bars: Bars) -> None:
    names = list(bars.values)
    colours = [_colour(c) for c in bars.colours] or [_colour(i) for i in range(len(names))]
    drawn = axes.barh(names, list(bars.values.values()), color=colours)
    axes.bar_label(drawn, fmt="{:,.6g}", padding=4, fontsize=9)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_xlabel(bars.unit)


def _heatmap(axes: Any, heat: Heatmap) -> None:
    import numpy as np

    values = np.full((len(heat.y_ticks), len(heat.x_ticks)), np.nan)
    for (column, row), (strength, _) in heat.cells.items():
        values[row, column] = strength
    axes.pcolormesh(values, cmap="Blues", vmin=-0.15, vmax=1.0, edgecolors="white")
    for ticks, setter, offset in (
        (heat.x_ticks, axes.set_xticks, 0.0),
        (heat.y_ticks, axes.set_yticks, 0.5),
    ):
        step = -(-len(ticks) // 12)
        setter([i + offset for i in range(0, len(ticks), step)], ticks[::step])
    axes.set_xlabel(heat.x_label)
    axes.set_ylabel(heat.y_label)
