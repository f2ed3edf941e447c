"""Scores an order of jobs. This is trusted code: the candidate answers data, the score is ours."""

from __future__ import annotations

import random
from collections.abc import Sequence

from breeder.evaluation import Candidate, InvalidAnswerError, Result

Job = list[float]  # duration, weight, due
JOBS = 30
SEARCH_SEEDS = range(100, 112)
HELD_OUT_SEEDS = range(900, 924)


def instance(seed: int) -> list[Job]:
    """Draw the jobs of one machine; more of them are due than can be on time."""
    rng = random.Random(seed)
    durations = [float(rng.randint(1, 20)) for _ in range(JOBS)]
    total = sum(durations)
    return [
        [duration, float(rng.randint(1, 10)), round(rng.uniform(0.1, 0.9) * total, 1)]
        for duration in durations
    ]


def replay(jobs: Sequence[Job], order: Sequence[int]) -> tuple[float, float]:
    """Return the weighted lateness of an order and the share of jobs that are late."""
    now = lateness = late = 0.0
    for index in order:
        duration, weight, due = jobs[index]
        now += duration
        lateness += weight * max(now - due, 0.0)
        late += now > due
    return lateness, late / len(jobs)


def by_due_time(jobs: Sequence[Job]) -> list[int]:
    """The earliest due time first: the yardstick, 1.0 by definition."""
    return sorted(range(len(jobs)), key=lambda index: jobs[index][2])


def by_weight(jobs: Sequence[Job]) -> list[int]:
    """The highest weight per unit of time first."""
    return sorted(range(len(jobs)), key=lambda index: -jobs[index][1] / jobs[index][0])


def score(candidate: Candidate, seeds: Sequence[int]) -> Result:
    """Replay what the candidate answers and compare it with `by_due_time`."""
    ours = yardstick = late = 0.0
    worst = (0.0, "")
    for seed in seeds:
        jobs = instance(seed)
        order = candidate.call("order", jobs)
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(JOBS))):
            raise InvalidAnswerError(f"order must name each of the {JOBS} jobs exactly once")
        lateness, share = replay(jobs, order)
        reference, _ = replay(jobs, by_due_time(jobs))
        ours, yardstick, late = ours + lateness, yardstick + reference, late + share
        worst = max(worst, (lateness, f"instance {seed}: {lateness:.0f} against {reference:.0f}"))
    metrics = {"lateness": ours / yardstick, "late_jobs": late / len(seeds)}
    return Result(metrics, artifacts={"worst": worst[1]})


def evaluate_quick(candidate: Candidate) -> Result:
    """Stage 1: a few instances."""
    return score(candidate, SEARCH_SEEDS[:2])


def evaluate(candidate: Candidate) -> Result:
    """Stage 2: all instances of the search."""
    return score(candidate, SEARCH_SEEDS)


def evaluate_held_out(candidate: Candidate) -> Result:
    """Instances that the search never sees."""
    return score(candidate, HELD_OUT_SEEDS)


def baselines(split: str) -> dict[str, dict[str, float]]:
    """What plain rules reach, shown beside the champion."""
    instances = [instance(seed) for seed in (SEARCH_SEEDS if split == "search" else HELD_OUT_SEEDS)]
    yardstick = sum(replay(jobs, by_due_time(jobs))[0] for jobs in instances)
    rules = {"earliest due time": by_due_time, "weight per duration": by_weight}
    return {
        name: {"lateness": sum(replay(jobs, rule(jobs))[0] for jobs in instances) / yardstick}
        for name, rule in rules.items()
    }
