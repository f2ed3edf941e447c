"""Ablations: the full method against itself with one part off, at equal budgets and seeds.

The plan is that of AlphaEvolve (Novikov et al. 2025, arXiv:2506.13131, section 4). Each part is
switched off by a key of the configuration that every run has:

* `evolution`: parents are always the start (`search.evolve`);
* `context`: prompts hold neither the task's goal nor feedback (`search.context`);
* `meta-prompts`: one plain instruction (`search.meta_prompts`);
* `reflection`: no critiques (`search.reflection`);
* `inspirations`: proposers are shown the parent alone (`search.inspirations`);
* `tuning`: no optimisation of constants (`search.proposers`).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from breeder.api import RunOptions, RunResult, configured, resume, run
from breeder.archive.store import FILE_NAME, Store
from breeder.config import RunConfig
from breeder.core import Direction
from breeder.errors import ConfigError, RunError
from breeder.task import Task

FULL = "full"
PARTS = ("reflection", "meta-prompts", "inspirations", "tuning", "evolution", "context")
NEEDS_MODEL = frozenset({"reflection", "meta-prompts", "context"})


class Arm(NamedTuple):
    """One way to run: its name and the settings in which it differs from the full method."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """What an arm reached.

    Attributes:
        name: `full`, or `without PART`.
        values: the objective per seed, in order.
        mean: of the values.
        interval: 95 % t-interval of the mean over seeds; None with one seed.
        loss: mean over seeds of how much worse than the full method with the same seed, positive
            for worse; None for the full method.
        loss_interval: 95 % t-interval of `loss`; None with one seed.
        evaluations, cpu_seconds: mean per run.
    """

    name: str
    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    loss: float | None
    loss_interval: tuple[float, float] | None
    evaluations: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Ablation:
    """The table of an ablation.

    Attributes:
        task: name.
        objective: name of the metric that is compared.
        direction: `maximize` or `minimize`.
        split: `held_out` where the task has it, else `search`, which flatters every arm.
        cpu_seconds: budget of each run.
        seeds: number of seeds.
        arms: the full method first.
        notes: what was left out, and why; one line each.
    """

    task: str
    objective: str
    direction: str
    split: str
    cpu_seconds: float
    seeds: int
    arms: tuple[ArmSummary, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        return asdict(self)


class Plan(NamedTuple):
    """What is run: the arms, and why others are not.

    Attributes:
        arms: the full method first.
        notes: one line for each part that is left out.
    """

    arms: tuple[Arm, ...]
    notes: tuple[str, ...]


def plan(config: RunConfig, without: Sequence[str], *, models: bool) -> Plan:
    """Choose the arms.

    Args:
        config: the full method.
        without: parts to switch off, each alone; all if empty.
        models: whether language models propose.

    Raises:
        ConfigError: there is no such part, or nothing is left to compare.
    """
    if unknown := [part for part in without if part not in PARTS]:
        raise ConfigError(f"--without: {unknown[0]!r} is not one of {', '.join(PARTS)}")
    arms, notes = [Arm(FULL, {})], []
    lacking = []
    for part in dict.fromkeys(without or PARTS):
        settings = _switched_off(part, config)
        if part in NEEDS_MODEL and not models:
            lacking.append(part)
        elif settings is None:
            notes.append(f"left out: {part}, which the full method does not use")
        else:
            arms.append(Arm(f"without {part}", settings))
    if lacking:
        notes.append(f"left out, because no language model proposes: {', '.join(lacking)}")
    if len(arms) == 1:
        raise ConfigError("--without: nothing to compare; " + "; ".join(notes))
    return Plan(tuple(arms), tuple(notes))


def _switched_off(part: str, config: RunConfig) -> dict[str, Any] | None:
    """The settings that switch a part off; None where it is off already, or is all there is."""
    search = config.search
    if part == "tuning":
        left = tuple(name for name in search.proposers if name != "tuning")
        return {"search.proposers": left} if left and left != search.proposers else None
    if part == "inspirations":
        return {"search.inspirations": 0} if search.inspirations else None
    key = {"evolution": "evolve"}.get(part, part.replace("-", "_"))
    return {f"search.{key}": False} if getattr(search, key) else None


def ablate(
    task: Task,
    options: RunOptions,
    folder: Path,
    *,
    without: Sequence[str] = (),
    seeds: int = 3,
    tell: Callable[[str], None] = lambda line: None,
) -> Ablation:
    """Run every arm with every seed, or go on where an earlier call was stopped.

    Arms take turns, one seed after the other, so that whatever changes on the machine meanwhile
    meets all of them. Runs lie in `folder/ARM/seed-N`; finished ones are taken as they are.

    Args:
        task: the task.
        options: of the full method; its budget must be in CPU seconds.
        folder: of all runs.
        without: parts to switch off, each alone; all if empty.
        seeds: number of seeds, counted from the options' own.
        tell: told of every run as it begins, in one line.

    Raises:
        ConfigError: an option is wrong.
        RunError: the folder holds runs of other settings.
        KeyboardInterrupt: stopped by a signal; call again to go on.
    """
    config, seats = configured(task, options)
    proposing = seats or config.endpoints() or config.local_models()
    arms, notes = plan(config, without, models=bool(proposing))
    for note in notes:
        tell(note)
    results: dict[str, list[RunResult]] = {arm.name: [] for arm in arms}
    for seed in range(config.seed, config.seed + seeds):
        for arm in arms:
            tell(f"seed {seed}, {arm.name}")
            results[arm.name].append(_run(task, options, folder, arm, seed))
    return _summarise(task, results, notes)


def _run(task: Task, options: RunOptions, folder: Path, arm: Arm, seed: int) -> RunResult:
    path = folder / arm.name.replace(" ", "-") / f"seed-{seed}"
    settings = {**options.get("settings", {}), **arm.settings}
    mine: RunOptions = {**options, "settings": settings, "seed": seed, "out": path}
    if "search.proposers" in arm.settings:
        mine["proposers"] = None
    if not (path / FILE_NAME).is_file():
        return run(task.folder, **mine)
    wanted, seats = configured(task, mine)
    with closing(Store.open(path, readonly=True)) as store:
        record = store.run()
    found = RunConfig.model_validate_json(record.config_json)
    if found != wanted or record.task_digest != task.digest():
        raise RunError(f"{path}: is a run of other settings or of another task; name a new --out")
    return RunResult.of(path) if record.status == "finished" else resume(path, models=seats)


def _summarise(
    task: Task, results: Mapping[str, Sequence[RunResult]], notes: Sequence[str]
) -> Ablation:
    objective = task.objectives[0]
    everything = [one for runs in results.values() for one in runs]
    held_out = all(one.held_out is not None for one in everything)

    def value(one: RunResult) -> float:
        metrics = one.held_out if held_out and one.held_out is not None else one.metrics
        return metrics[objective.name]

    values = {name: [value(one) for one in runs] for name, runs in results.items()}
    sign = objective.direction.sign
    summaries = []
    for name, own in values.items():
        losses = [sign * (f - o) for f, o in zip(values[FULL], own, strict=True)]
        summaries.append(
            ArmSummary(
                name=name,
                values=tuple(own),
                mean=statistics.fmean(own),
                interval=interval(own),
                loss=None if name == FULL else statistics.fmean(losses),
                loss_interval=None if name == FULL else interval(losses),
                evaluations=statistics.fmean(one.evaluations for one in results[name]),
                cpu_seconds=statistics.fmean(one.cpu_seconds for one in results[name]),
            )
        )
    return Ablation(
        task=task.name,
        objective=objective.name,
        direction=str(Direction(objective.direction)),
        split="held_out" if held_out else "search",
        cpu_seconds=_budget(everything[0]),
        seeds=len(values[FULL]),
        arms=tuple(summaries),
        notes=tuple(notes),
    )


def _budget(result: RunResult) -> float:
    with closing(Store.open(result.path, readonly=True)) as store:
        config = RunConfig.model_validate_json(store.run().config_json)
    return config.budget.cpu_seconds or 0.0


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % t-interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.fmean(values)
    return mean - half, mean + half


def lines(table: Ablation) -> Iterator[str]:
    """The table as text, within 100 columns."""
    where = "held-out data" if table.split == "held_out" else "the data that selection saw"
    better = "higher" if table.direction == "maximize" else "lower"
    yield (
        f"{table.task}: {table.objective} on {where}, {better} is better; {table.seeds} seed(s), "
        f"{table.cpu_seconds:g} CPU-s each"
    )
    yield f"{'':<22}{'mean':>11}  {'95 % interval':<24}{'worse than full by':<34}{'evals':>6}"
    for arm in table.arms:
        loss = "" if arm.loss is None else f"{arm.loss:.4g} {_span(arm.loss_interval)}"
        yield (
            f"{arm.name:<22}{arm.mean:>11.5g}  {_span(arm.interval):<24}{loss:<34}"
            f"{arm.evaluations:>6.0f}"
        )
    if table.seeds < 2:
        yield "one seed gives no interval: nothing can be concluded from differences"


def _span(bounds: tuple[float, float] | None) -> str:
    return "-" if bounds is None else f"[{bounds[0]:.4g}, {bounds[1]:.4g}]"
