"""What `show` tells of a run, as values: `RunSummary` and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from breeder.core import Cost
from breeder.proposers.llm.record import TeamRecord


@dataclass(frozen=True, slots=True)
class ProgramSummary:
    """A program and what it reached.

    Attributes:
        id: content hash of the files.
        files: path -> full text of every evolved file.
        metrics: metrics on the search split.
        fitness: higher is better; None when it failed.
        trusted: False when the metrics are self-reported.
        failure: why it failed, in one line; empty on success.
        proposer: who made it; `initial` for the start.
        generation: steps from the start along main parents.
        evaluation: id of the evaluation's row in the store.
        held_out: metrics of the newest held-out evaluation, None when there is none.
        held_out_failure: why that failed; empty on success.
        intervals: 95 % intervals of measured metrics, name -> (low, high). The measured objective
            of a confirmed program is the value of its fresh heats, in `metrics` and here.
    """

    id: str
    files: Mapping[str, str]
    metrics: Mapping[str, float]
    fitness: float | None
    trusted: bool
    failure: str
    proposer: str
    generation: int
    evaluation: int
    held_out: Mapping[str, float] | None
    held_out_failure: str
    intervals: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class ProposerSummary:
    """What one proposer did.

    Attributes:
        name: as used by `--proposers`.
        evaluations: how many of its programs were evaluated.
        succeeded: how many of them were admissible.
        placed: how many entered the archive.
        improvements: how many raised the best fitness.
        gain: by how much in total, in units of fitness.
        share: its share of the evaluations, 0 to 1.
        cpu_seconds: CPU time of its evaluations.
        discarded: proposals that cost no evaluation, reason -> count.
    """

    name: str
    evaluations: int
    succeeded: int
    placed: int
    improvements: int
    gain: float
    share: float
    cpu_seconds: float
    discarded: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BaselineSummary:
    """A baseline beside the champion.

    Attributes:
        name: its name.
        kind: `task` (stated by the task) or `matched` (given the run's CPU time).
        split: `search` or `held_out`.
        metrics: what it reaches.
        fitness: higher is better; None when the objectives are not among the metrics.
        cpu_seconds: what a matched baseline spent.
        evaluations: how many evaluations it made.
        reaches_champion: whether it is at least as good as the champion on that split.
    """

    name: str
    kind: str
    split: str
    metrics: Mapping[str, float]
    fitness: float | None
    cpu_seconds: float
    evaluations: int
    reaches_champion: bool


@dataclass(frozen=True, slots=True)
class RaceSummary:
    """How champions of a measured task were confirmed.

    Attributes:
        metric: what is measured.
        improved: whether a challenger was confirmed; if not, there is no champion.
        start: confirmed value of the start with its interval, `(value, low, high)`; null before.
        champion: the same of the last confirmed challenger; null without one.
        challengers: how many programs challenged.
        confirmed: how many became champion.
        refuted: how many did not show to be better on fresh samples, or failed on them.
        lapsed: how many were overtaken by a champion before their first heat.
        open: how many were not decided when the run ended, or are racing now.
        heats: fresh evaluations, those of the start included.
        cpu_seconds: CPU time of the heats.
        share: that over the CPU time of all evaluations but the held-out ones, 0 to 1.
    """

    metric: str
    improved: bool
    start: tuple[float, float, float] | None
    champion: tuple[float, float, float] | None
    challengers: int
    confirmed: int
    refuted: int
    lapsed: int
    open: int
    heats: int
    cpu_seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The figures of a run.

    `to_json` gives an object with exactly these attributes as keys; scripts may rely on them.

    Attributes:
        status: `running`, `finished`, `stopped` or `failed`; a killed run stays `running`.
        detail: why it ended, one line.
        task: name of the task.
        task_kind: `breeder`, `openevolve` or `shinka`.
        sandbox: `bubblewrap` or `none`.
        trusted: False when metrics are self-reported.
        warnings: badges that every view shows (`sandbox: none`, `self-reported`).
        objectives: `{name, direction, weight}` of each objective, in order.
        start: the initial program, null before it was evaluated (see `ProgramSummary`).
        champion: the best program, null while nothing succeeded, and on a measured task as long as
            no challenger was confirmed.
        race: how champions were confirmed, see `RaceSummary`; null for exact tasks.
        improvement: what was achieved, in words.
        held_out_verdict: whether it holds up on held-out data, in words; empty if unmeasured.
        baseline_verdict: how it stands against the baselines, in words; empty without any.
        evaluations: number of search evaluations.
        succeeded: how many of them were admissible.
        failures: kind of failure -> count.
        discards: reason -> count of proposals that cost no evaluation.
        cost: phase (`search`, `confirm`, `propose`, `held_out`, `baselines`, `engine`) ->
            `{cpu_seconds, wall_seconds, tokens, currency}`.
        proposers: see `ProposerSummary`, most evaluations first.
        baselines: see `BaselineSummary`.
        elapsed: run time in seconds.
        budget: limit -> value, the limits that were set.
        config: the run's configuration.
        machine: what it ran on.
        started_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC; null while running.
        breeder_version: version that created the run.
        models: what the language models did, see `llm.record.TeamRecord`; null without any.
    """

    status: str
    detail: str
    task: str
    task_kind: str
    sandbox: str
    trusted: bool
    warnings: tuple[str, ...]
    objectives: tuple[Mapping[str, Any], ...]
    start: ProgramSummary | None
    champion: ProgramSummary | None
    improvement: str
    held_out_verdict: str
    baseline_verdict: str
    evaluations: int
    succeeded: int
    failures: Mapping[str, int]
    discards: Mapping[str, int]
    cost: Mapping[str, Cost]
    proposers: tuple[ProposerSummary, ...]
    baselines: tuple[BaselineSummary, ...]
    elapsed: float
    budget: Mapping[str, float]
    config: Mapping[str, Any]
    machine: Mapping[str, Any]
    started_at: str
    finished_at: str | None
    breeder_version: str
    race: RaceSummary | None = None
    models: TeamRecord | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON-ready data, keys as documented above."""
        models = None if self.models is None else msgspec.to_builtins(self.models)
        return {**asdict(replace(self, models=None)), "models": models}
