"""Charts as inline SVG. Colours are classes, so that the page's style decides on light or dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from breeder.report.charts import (
    ACCENT,
    FAILED,
    Bars,
    Chart,
    Heatmap,
    Layer,
    Plot,
    tick_text,
    ticks,
)

WIDTH, HEIGHT, SMALL_WIDTH = 720, 330, 400
LEFT, RIGHT, TOP, BOTTOM = 78, 14, 12, 46
PALETTE_SIZE = 8


def draw(chart: Chart, *, small: bool = False) -> str:
    """Return a chart as a `<figure>`: title, legend, drawing, note. `small` is for heat maps."""
    if isinstance(chart, Plot):
        body, legend = _plot(chart), _legend(chart)
    elif isinstance(chart, Bars):
        body, legend = _bars(chart), ""
    else:
        body, legend = _heatmap(chart, SMALL_WIDTH if small else WIDTH), ""
    note = f"<p class=note>{escape(chart.note)}</p>" if chart.note and not small else ""
    return (
        f"<figure><figcaption>{escape(chart.title)}</figcaption>{legend}"
        f"<div class=scroll>{body}</div>{note}</figure>"
    )


def colour_class(colour: int) -> str:
    """Return the style class of a colour index."""
    return {ACCENT: "accent", FAILED: "failed"}.get(colour, f"c{colour % PALETTE_SIZE}")


def _open(width: int, height: int, title: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role=img aria-label="{escape(title)}">'


def _text(x: float, y: float, text: str, *, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor={anchor} {extra}>{escape(text)}</text>'


class _Scale:
    """Maps data to pixels, clamped to the frame."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1.0
        self.begin, self.end = begin, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.begin + min(1.0, max(0.0, share)) * (self.end - self.begin)


def _plot(plot: Plot) -> str:
    x = _Scale(*plot.x_range, LEFT, WIDTH - RIGHT)
    y = _Scale(*plot.y_range, HEIGHT - BOTTOM, TOP)
    parts = [_open(WIDTH, HEIGHT, plot.title), *_axes(plot, x, y)]
    parts += [_layer(layer, x, y) for layer in plot.layers]
    for reference in plot.references:
        if plot.y_range[0] <= reference.value <= plot.y_range[1]:
            position = y(reference.value)
            parts.append(
                f'<path class="reference {colour_class(reference.colour)}" '
                f'd="M{LEFT} {position:.1f}H{WIDTH - RIGHT}"/>'
            )
    return "".join([*parts, "</svg>"])


def _axes(plot: Plot, x: _Scale, y: _Scale) -> Iterator[str]:
    x_ticks, y_ticks = ticks(*plot.x_range, 6), ticks(*plot.y_range, 5)
    for value in y_ticks:
        at = y(value)
        yield f'<path class=grid d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
        label = tick_text(value, y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else 0.0)
        yield _text(LEFT - 8, at + 4, label, anchor="end")
    for value in x_ticks:
        label = tick_text(value, x_ticks[1] - x_ticks[0] if len(x_ticks) > 1 else 0.0)
        yield _text(x(value), HEIGHT - BOTTOM + 18, label)
    yield f'<path class=axis d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, plot.x_label, extra="class=label")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turn = f'class=label transform="rotate(-90 14 {middle:.0f})"'
    yield _text(14, middle, plot.y_label, extra=turn)


def _layer(layer: Layer, x: _Scale, y: _Scale) -> str:
    name = colour_class(layer.colour)
    xs = [x(value) for value in layer.xs]
    if layer.kind == "rug":
        marks = "".join(f"M{a:.1f} {HEIGHT - BOTTOM}v-5" for a in xs)
        return f'<path class="rug {name}" d="{marks}"/>' if marks else ""
    ys = [y(value) for value in layer.ys]
    if layer.kind == "points":
        # A zero-length stroke with round caps is a dot: one element for thousands of points.
        marks = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(xs, ys, strict=True))
        return f'<path class="points {name}" d="{marks}"/>'
    if layer.kind == "markers":
        return "".join(
            f'<circle class="marker {name}" cx="{a:.1f}" cy="{b:.1f}" r="4">'
            f"<title>{escape(label)}</title></circle>"
            for a, b, label in zip(xs, ys, layer.labels, strict=True)
        )
    if layer.kind == "area":
        base = [y(value) for value in layer.base]
        edge = [f"{a:.1f} {b:.1f}" for a, b in zip(xs, ys, strict=True)]
        back = [f"{a:.1f} {b:.1f}" for a, b in zip(reversed(xs), reversed(base), strict=True)]
        return f'<path class="area {name}" d="M{"L".join([*edge, *back])}Z"/>'
    stairs = "".join(f"H{a:.1f}V{b:.1f}" for a, b in zip(xs[1:], ys[1:], strict=True))
    return f'<path class="steps {name}" d="M{xs[0]:.1f} {ys[0]:.1f}{stairs}"/>'


def _legend(plot: Plot) -> str:
    entries = [(layer.name, layer.colour, "") for layer in plot.layers if layer.name and layer.xs]
    low, high = plot.y_range
    for r in plot.references:
        where = "" if low <= r.value <= high else " (outside the range shown)"
        entries.append((f"{r.name} {r.value:.6g}{where}", r.colour, "dashed"))
    items = "".join(
        f'<li><i class="{colour_class(colour)} {style}"></i>{escape(name)}</li>'
        for name, colour, style in entries
    )
    return f"<ul class=legend>{items}</ul>" if len(entries) > 1 else ""


def _bars(bars: Bars) -> str:
    row, left, right = 28, 130, 110
    height = row * len(bars.values) + 8
    longest = max(bars.values.values()) or 1.0
    parts = [_open(WIDTH, height, bars.title)]
    for index, (name, value) in enumerate(bars.values.items()):
        colour = colour_class(bars.colours[index] if bars.colours else index)
        length = max(1.0, (WIDTH - left - right) * value / longest)
        at = 4 + row * index
        label = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
        parts += [
            _text(left - 10, at + 18, name, anchor="end"),
            f'<rect class="bar {colour}" x="{left}" y="{at + 4}" width="{length:.1f}" '
            f'height="{row - 9}" rx="3"/>',
            _text(left + length + 8, at + 18, f"{label} {bars.unit}", anchor="start"),
        ]
    return "".join([*parts, "</svg>"])


def _heatmap(heat: Heatmap, width: int) -> str:
    columns, rows = len(heat.x_ticks), len(heat.y_ticks)
    height = TOP + BOTTOM + max(28, min(34, 300 // rows)) * rows
    wide, tall = (width - LEFT - RIGHT) / columns, (height - TOP - BOTTOM) / rows
    parts = [_open(width, height, heat.title)]
    parts.append(
        f'<rect class=empty x="{LEFT}" y="{TOP}" width="{width - LEFT - RIGHT}" '
        f'height="{height - TOP - BOTTOM}"/>'
    )
    for (column, row), (strength, label) in sorted(heat.cells.items()):
        parts.append(
            f'<rect class=cell x="{LEFT + column * wide + 1:.1f}" '
            f'y="{height - BOTTOM - (row + 1) * tall + 1:.1f}" width="{max(1.0, wide - 2):.1f}" '
            f'height="{max(1.0, tall - 2):.1f}" rx="2" fill-opacity="{0.12 + 0.88 * strength:.2f}">'
            f"<title>{escape(label)}</title></rect>"
        )
    middle = (TOP + height - BOTTOM) / 2
    for index in range(0, columns, -(-columns // (width // 60))):
        parts.append(_text(LEFT + index * wide, height - BOTTOM + 17, heat.x_ticks[index]))
    for index in range(0, rows, -(-rows // 12)):
        at = height - BOTTOM - (index + 0.5) * tall + 4
        parts.append(_text(LEFT - 8, at, heat.y_ticks[index], anchor="end"))
    parts.append(_text(width / 2, height - 6, heat.x_label, extra="class=label"))
    turn = f'class=label transform="rotate(-90 14 {middle:.0f})"'
    parts.append(_text(14, middle, heat.y_label, extra=turn))
    return "".join([*parts, "</svg>"])
