"""A run's outcome in words: what improved, whether a baseline does it too, whether it holds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breeder.archive.store import BaselineRecord, EvaluationRecord, RunRecord
from breeder.core import Direction, Objective, fitness
from breeder.report.run_data import RunData

BASELINE_KINDS: Mapping[str, str] = {
    "task": "stated by the task",
    "matched": "same CPU time as the run",
}

NO_CHALLENGER = "no improvement found: no program was confirmed to be better than the start"


def number(value: float) -> str:
    """Write a metric for people: six significant digits, no trailing zeros."""
    return f"{value:.6g}"


def percentage(before: float, after: float) -> str:
    """Write the relative change, e.g. `-15.8 %`; empty when there is nothing to relate to."""
    return "" if before == 0 else f"{100 * (after - before) / abs(before):+.3g} %"


def change(objective: Objective, before: float, after: float) -> str:
    """Describe one objective's change, e.g. `excess 0.051 -> 0.043 (-15.7 %, lower is better)`."""
    if after == before:
        return f"{objective.name} {number(after)}, unchanged"
    aim = "higher" if objective.direction is Direction.MAXIMIZE else "lower"
    worse = objective.direction.sign * (after - before) < 0
    notes = [percentage(before, after), "worse" if worse else "", f"{aim} is better"]
    words = ", ".join(note for note in notes if note)
    return f"{objective.name} {number(before)} -> {number(after)} ({words})"


def signed_fitness(
    objectives: Sequence[Objective], metrics: Mapping[str, float] | None
) -> float | None:
    """Return the scalar fitness of `metrics`; None when an objective is not among them."""
    if not metrics or not objectives or any(o.name not in metrics for o in objectives):
        return None
    return fitness(tuple(objectives), metrics)


def improvement(data: RunData) -> str:
    """Say in one sentence what the run achieved on the data it selected on."""
    if data.champion is None:
        if not data.points:
            return "nothing has been evaluated yet"
        if data.measured is not None and data.start is not None and data.start.fitness is not None:
            return NO_CHALLENGER
        return f"nothing succeeded: all {len(data.points)} evaluations failed"
    after = data.champion.evaluation.metrics
    if data.start is None or data.start.fitness is None:
        reached = ", ".join(f"{o.name} {number(after[o.name])}" for o in data.objectives)
        return f"the start did not succeed; the champion reaches {reached}"
    if not improved(data):
        return "no improvement found: the start is still the best program"
    before = data.start.evaluation.metrics
    words = [change(o, before[o.name], after[o.name]) for o in data.objectives]
    if data.measured in data.champion.evaluation.intervals:
        low, high = data.champion.evaluation.intervals[data.measured or ""]
        words.append(f"confirmed on fresh samples, 95 % interval {number(low)} to {number(high)}")
    if len(data.objectives) > 1 and data.champion.fitness is not None:
        words.append(f"fitness {number(data.start.fitness)} -> {number(data.champion.fitness)}")
    return "; ".join(words)


def improved(data: RunData) -> bool:
    """Whether the champion is better than the start (or the only one that succeeded)."""
    if data.champion is None or data.champion.fitness is None:
        return False
    start = None if data.start is None else data.start.fitness
    return start is None or data.champion.fitness > start


def matching_baselines(data: RunData, split: str = "search") -> tuple[BaselineRecord, ...]:
    """Return the baselines of a split that are at least as good as the champion there."""
    target = champion_fitness(data, split)
    if target is None:
        return ()
    return tuple(
        b
        for b in data.baselines
        if b.split == split and (f := baseline_fitness(data, b)) is not None and f >= target
    )


def baseline_fitness(data: RunData, baseline: BaselineRecord) -> float | None:
    """Return a baseline's fitness, worked out from its metrics where it was not stored."""
    if baseline.fitness is not None:
        return baseline.fitness
    return signed_fitness(data.objectives, baseline.metrics)


def champion_fitness(data: RunData, split: str = "search") -> float | None:
    """Return the champion's fitness on a split; None when it was not or not fully measured."""
    if data.champion is None:
        return None
    return data.champion.fitness if split == "search" else held_out_fitness(data, data.champion)


def held_out_fitness(data: RunData, row: EvaluationRecord | None) -> float | None:
    """Return the held-out fitness of a program; None when it failed or was not measured."""
    held = data.held_out.get(row.program_id) if row else None
    if held is None or held.evaluation.failure is not None:
        return None
    if held.fitness is not None:
        return held.fitness
    return signed_fitness(data.objectives, held.evaluation.metrics)


def baseline_verdict(data: RunData) -> str:
    """Say how the champion stands against the baselines on the search split; '' without any."""
    rivals = [b for b in data.baselines if b.split == "search"]
    if not rivals or data.champion is None:
        return ""
    matching = matching_baselines(data)
    if not matching:
        return f"better than {_all_of(rivals)} on the search data"
    names = ", ".join(describe(data, b) for b in matching)
    if not improved(data):
        return f"at least as good as the champion: {names}"
    return f"a baseline reaches this too: {names}"


def describe(data: RunData, baseline: BaselineRecord) -> str:
    """Name a baseline with its kind and objective values."""
    values = ", ".join(
        f"{o.name} {number(baseline.metrics[o.name])}"
        for o in data.objectives
        if o.name in baseline.metrics
    )
    kind = BASELINE_KINDS.get(baseline.kind, baseline.kind)
    return f"{baseline.name} ({kind}) {values}".rstrip()


def held_out_verdict(data: RunData) -> str:
    """Say whether the improvement holds up on data that selection never saw; '' if unmeasured."""
    champion = data.champion
    held = data.held_out.get(champion.program_id) if champion else None
    if champion is None or held is None or not improved(data):
        return ""
    if held.evaluation.failure is not None:
        return f"the champion fails on held-out data ({held.evaluation.failure})"
    target = held_out_fitness(data, champion)
    if target is None:
        return "the held-out metrics do not include every objective, so they are shown only"
    if data.start is None or (origin := held_out_fitness(data, data.start)) is None:
        words = ["no held-out result of the start to compare with"]
    elif target > origin:
        words = ["holds up: better than the start on held-out data"]
    else:
        same = "equal to" if target == origin else "worse than"
        words = [f"does not hold up: {same} the start on held-out data"]
    rivals = [b for b in data.baselines if b.split == "held_out"]
    matching = matching_baselines(data, "held_out")
    if matching:
        words.append("not better than " + ", ".join(describe(data, b) for b in matching))
    elif rivals:
        words.append(f"better than {_all_of(rivals)} there")
    return "; ".join(words)


def _all_of(baselines: Sequence[BaselineRecord]) -> str:
    if len(baselines) == 1:
        return f"the baseline {baselines[0].name}"
    return f"all {len(baselines)} baselines"


def badges(run: RunRecord, champion: EvaluationRecord | None) -> tuple[str, ...]:
    """Return the warnings that every view must show, most serious first."""
    found = []
    if run.sandbox == "none":
        found.append("sandbox: none")
    if not run.trusted or (champion is not None and not champion.evaluation.trusted):
        found.append("self-reported")
    return tuple(found)
