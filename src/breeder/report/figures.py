"""The charts of a run beside score and cells: front, failures, proposers, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from breeder.report.charts import ACCENT, FAILED, Bars, Layer, Plot
from breeder.report.records import RunSummary
from breeder.report.run_data import Point, RunData
from breeder.report.score_figures import proposer_colours, rises, score_name
from breeder.report.verdict import number

WINDOWS, SMALLEST_WINDOW = 40, 15


def front_charts(data: RunData) -> tuple[Plot, ...]:
    """Draw every evaluation in the plane of the first two objectives, and the front."""
    if len(data.objectives) < 2:
        return ()
    first, second = data.objectives[:2]
    named = {first.name, second.name}
    points = [p for p in data.points if p.fitness is not None and named <= p.metrics.keys()]
    if not points:
        return ()
    xs, ys = ([p.metrics[o.name] for p in points] for o in (first, second))
    signs = (first.direction.sign, second.direction.sign)
    front = _front(list(zip(xs, ys, strict=True)), signs)
    step = max(1, len(points) // 6000)
    arrows = ["higher" if s > 0 else "lower" for s in signs]
    special = [
        (name, row.evaluation.metrics)
        for name, row in (("start", data.start), ("champion", data.champion))
        if row is not None and named <= row.evaluation.metrics.keys()
    ]
    return (
        Plot(
            key="front",
            title=f"{first.name} against {second.name}",
            x_label=f"{first.name} ({arrows[0]} is better)",
            y_label=f"{second.name} ({arrows[1]} is better)",
            x_range=_padded(xs),
            y_range=_padded(ys),
            layers=(
                Layer("points", "evaluated", 7, xs[::step], ys[::step]),
                Layer(
                    "markers",
                    "front",
                    ACCENT,
                    [x for x, _ in front],
                    [y for _, y in front],
                    labels=[f"{number(x)}, {number(y)}" for x, y in front],
                ),
                *(
                    Layer("markers", name, index, [m[first.name]], [m[second.name]], labels=[name])
                    for index, (name, m) in enumerate(special, start=1)
                ),
            ),
        ),
    )


def _front(
    pairs: Sequence[tuple[float, float]], signs: tuple[float, float]
) -> list[tuple[float, float]]:
    ordered = sorted(set(pairs), key=lambda p: (-signs[0] * p[0], -signs[1] * p[1]))
    front: list[tuple[float, float]] = []
    for pair in ordered:
        if not front or signs[1] * pair[1] > signs[1] * front[-1][1]:
            front.append(pair)
    return front


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or abs(low) * 0.1 or 1.0
    return low - pad, high + pad


def failure_charts(summary: RunSummary) -> tuple[Bars, ...]:
    """Draw failures by kind."""
    if not summary.failures:
        return ()
    share = 100 * sum(summary.failures.values()) / summary.evaluations
    return (
        Bars(
            key="failures",
            title="failures by kind",
            unit="evaluations",
            values=summary.failures,
            colours=[FAILED] * len(summary.failures),
            note=f"{share:.1f} % of all evaluations failed",
        ),
    )


def proposer_charts(data: RunData) -> tuple[Plot, ...]:
    """Draw each proposer's share of the evaluations, and the gain that it brought, over time."""
    made = [p for p in data.points if p.proposer != "initial"]
    colours = proposer_colours(data)
    if not made:
        return ()
    gains = _gain_layers(data, made, colours)
    top = max((max(layer.ys) for layer in gains), default=0.0)
    share = Plot(
        key="proposer_shares",
        title="share of the evaluations",
        x_label="evaluations",
        y_label="share (%)",
        x_range=(0.0, float(len(data.points))),
        y_range=(0.0, 100.0),
        layers=tuple(_share_layers(made, colours)),
    )
    gain = Plot(
        key="proposer_gains",
        title="gain brought",
        x_label="evaluations",
        y_label=f"gain in {score_name(data)}{'' if rises(data) else ' (reduction)'}",
        x_range=(0.0, float(len(data.points))),
        y_range=(0.0, top * 1.08 or 1.0),
        layers=tuple(gains),
    )
    return (share, gain) if gains else (share,)


def _share_layers(made: Sequence[Point], colours: Mapping[str, int]) -> list[Layer]:
    width = max(SMALLEST_WINDOW, len(made) // WINDOWS)
    windows = [made[i : i + width] for i in range(0, len(made), width)]
    if len(windows) > 1 and len(windows[-1]) < width:
        windows[-2:] = [[*windows[-2], *windows[-1]]]
    counts = [Counter(p.proposer for p in window) for window in windows]
    # Each window is drawn as a plateau from its first to its last evaluation.
    xs = [float(x) for w in windows for x in (w[0].index - 1, w[-1].index)]
    base = [0.0] * len(xs)
    layers = []
    for name, colour in colours.items():
        parts = [100 * c[name] / len(w) for c, w in zip(counts, windows, strict=True)]
        top = [b + part for b, part in zip(base, [p for p in parts for _ in (0, 1)], strict=True)]
        layers.append(Layer("area", name, colour, xs, top, base=base))
        base = top
    return layers


def _gain_layers(data: RunData, made: Sequence[Point], colours: Mapping[str, int]) -> list[Layer]:
    scale = 1.0 if len(data.objectives) != 1 else 1.0 / data.objectives[0].weight
    layers = []
    for name, colour in colours.items():
        own = [p for p in made if p.proposer == name and p.gain > 0]
        if own:
            totals = list(accumulate(p.gain * scale for p in own))
            xs = [0.0, *(float(p.index) for p in own), float(len(data.points))]
            layers.append(Layer("steps", name, colour, xs, [0.0, *totals, totals[-1]]))
    return layers


def cost_charts(summary: RunSummary) -> tuple[Bars, ...]:
    """Draw CPU seconds by phase."""
    values = {
        phase.replace("_", "-"): cost.cpu_seconds
        for phase, cost in summary.cost.items()
        if cost.cpu_seconds > 0
    }
    if not values:
        return ()
    return (Bars(key="cost", title="CPU time by phase", unit="CPU s", values=values),)
