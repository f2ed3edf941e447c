"""The score charts of a run: every evaluation, the best so far, start and baselines as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from breeder.archive.store import ChallengeOutcome
from breeder.core import Direction, fitness
from breeder.report import verdict
from breeder.report.charts import ACCENT, FAILED, Layer, Plot, Reference
from breeder.report.run_data import Point, RunData
from breeder.report.verdict import number

MAX_POINTS = 12_000

Where = Callable[[Point], float]


def proposer_colours(data: RunData) -> dict[str, int]:
    """Proposer -> index of the palette, by first appearance."""
    names = dict.fromkeys(p.proposer for p in data.points if p.proposer != "initial")
    return {name: index for index, name in enumerate(names)}


def score_name(data: RunData) -> str:
    """What the score charts show: the objective, or the fitness when there are several."""
    return data.objectives[0].name if len(data.objectives) == 1 else "fitness"


def score(data: RunData, fitness: float) -> float:
    """Turn a fitness into the number that the score charts show."""
    if len(data.objectives) != 1:
        return fitness
    objective = data.objectives[0]
    return fitness * objective.direction.sign / objective.weight


def rises(data: RunData) -> bool:
    """Whether better programs lie higher in the score charts."""
    return len(data.objectives) != 1 or data.objectives[0].direction is Direction.MAXIMIZE


def best_points(points: Sequence[Point]) -> list[Point]:
    """Return the evaluations that were better than all before them."""
    best: list[Point] = []
    top = float("-inf")
    for point in points:
        if point.fitness is not None and point.fitness > top:
            best.append(point)
            top = point.fitness
    return best


def confirmed_points(data: RunData) -> list[Point]:
    """Return the evaluations of the confirmed champions, the start first, with confirmed values."""
    confirmed = [c for c in data.challenges if c.outcome is ChallengeOutcome.CONFIRMED]
    found = {point.evaluation: point for point in data.points}
    return [
        replace(point, fitness=fitness(data.objectives, {data.measured or "": challenge.value}))
        for challenge in confirmed
        if challenge.value is not None and (point := found.get(challenge.evaluation)) is not None
    ]


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which a span reads best, and its length in seconds."""
    return ("h", 3600.0) if seconds > 7200 else ("min", 60.0) if seconds > 180 else ("s", 1.0)


def score_charts(data: RunData) -> tuple[Plot, ...]:
    """Draw the score over evaluations and over time; nothing while nothing succeeded."""
    best = best_points(data.points) if data.measured is None else confirmed_points(data)
    if not best:
        return ()
    unit, scale = time_unit(data.elapsed)
    return (
        _chart(
            data,
            best,
            key="score",
            x_label="evaluations",
            end=float(len(data.points)),
            where=lambda p: float(p.index),
        ),
        _chart(
            data,
            best,
            key="score_over_time",
            x_label=f"run time ({unit})",
            end=data.elapsed / scale,
            where=lambda p: p.elapsed / scale,
        ),
    )


def _chart(
    data: RunData, best: Sequence[Point], *, key: str, x_label: str, end: float, where: Where
) -> Plot:
    references, low, high = _frame(data, best)
    shown = _thin(data.points, {p.index for p in best})
    scores = {p.index: score(data, p.fitness) for p in data.points if p.fitness is not None}
    outside = sum(not low <= value <= high for value in scores.values())
    notes = [f"{outside} evaluations lie beyond this range, drawn at the edge"] if outside else []
    if len(shown) < len(data.points):
        notes.append(f"{len(shown)} of {len(data.points)} evaluations drawn")
    steps = [scores[p.index] for p in best]
    best_x = [where(p) for p in best]
    labels = [_label(data, p) for p in best]
    return Plot(
        key=key,
        title=f"{score_name(data)} over {'evaluations' if key == 'score' else 'time'}",
        x_label=x_label,
        y_label=f"{score_name(data)} ({'higher' if rises(data) else 'lower'} is better)",
        x_range=(0.0, end or 1.0),
        y_range=(low, high),
        layers=(
            *_proposer_layers(data, shown, scores, where),
            Layer("rug", "failed", FAILED, [where(p) for p in shown if p.fitness is None]),
            Layer("steps", "best so far", ACCENT, [*best_x, end], [*steps, steps[-1]]),
            Layer("markers", "", ACCENT, best_x, steps, labels=labels),
        ),
        references=references,
        note="; ".join(notes),
    )


def _proposer_layers(
    data: RunData, shown: Sequence[Point], scores: Mapping[int, float], where: Where
) -> Iterator[Layer]:
    for name, colour in proposer_colours(data).items():
        own = [p for p in shown if p.proposer == name and p.index in scores]
        if own:
            xs, ys = [where(p) for p in own], [scores[p.index] for p in own]
            yield Layer("points", name, colour, xs, ys)


def _thin(points: Sequence[Point], keep: set[int]) -> Sequence[Point]:
    """Return at most about `MAX_POINTS` evenly spaced points, with all of `keep` among them."""
    stride = -(-len(points) // MAX_POINTS)
    return [p for p in points if p.index % stride == 0 or p.index in keep] if points else ()


def _label(data: RunData, point: Point) -> str:
    value = number(score(data, point.fitness or 0.0))
    who = f"{point.proposer} · {point.program_id[:12]}"
    return f"{score_name(data)} {value} · evaluation {point.index} · {who}"


def _frame(data: RunData, best: Sequence[Point]) -> tuple[tuple[Reference, ...], float, float]:
    """Choose the lines to show and the range of the vertical axis.

    The range spans what matters, from the start to the best; most candidates are far worse and
    would flatten everything else. Baselines widen it up to three times the improvement.
    """
    first, last = (score(data, p.fitness or 0.0) for p in (best[0], best[-1]))
    references = [Reference("start", first, FAILED)] if _start_succeeded(data) else []
    span = abs(last - first) or _spread(data, last)
    for index, row in enumerate(b for b in data.baselines if b.split == "search"):
        fitness = verdict.baseline_fitness(data, row)
        if fitness is not None:
            references.append(Reference(row.name, score(data, fitness), index + 3))
    references = _merged(references)
    inside = [r.value for r in references if abs(r.value - last) <= 4 * span]
    low, high = min(first, last, *inside), max(first, last, *inside)
    worse, better = 0.3 * (high - low or span), 0.08 * (high - low or span)
    pads = (worse, better) if rises(data) else (better, worse)
    return tuple(references), low - pads[0], high + pads[1]


def _merged(references: Sequence[Reference]) -> list[Reference]:
    """Join lines of equal value, of which only the last would be seen."""
    merged: dict[float, Reference] = {}
    for reference in references:
        known = merged.get(reference.value)
        name = f"{known.name}, {reference.name}" if known else reference.name
        colour = known.colour if known else reference.colour
        merged[reference.value] = Reference(name, reference.value, colour)
    return list(merged.values())


def _start_succeeded(data: RunData) -> bool:
    return data.start is not None and data.start.fitness is not None


def _spread(data: RunData, best: float) -> float:
    """Return the distance from the best to the median: the scale of a run without improvement."""
    values = sorted(score(data, p.fitness) for p in data.points if p.fitness is not None)
    return abs(values[len(values) // 2] - best) or abs(best) * 0.1 or 1.0
