"""Decides in which order a machine works off its jobs."""

from __future__ import annotations


# EVOLVE-BLOCK-START
def urgency(duration: float, weight: float, due: float, now: float) -> float:
    """Say how urgent a waiting job is; the most urgent one goes next."""
    slack = due - now - duration
    return -1.0 * slack


# EVOLVE-BLOCK-END


def order(jobs: list[list[float]]) -> list[int]:
    """Return the indices of `jobs` (each [duration, weight, due]) in the order of work."""
    waiting = list(range(len(jobs)))
    chosen: list[int] = []
    now = 0.0
    while waiting:
        ratings = []
        for index in waiting:
            duration, weight, due = jobs[index]
            ratings.append(urgency(duration, weight, due, now))
        urgent = waiting.pop(ratings.index(max(ratings)))
        chosen.append(urgent)
        now += jobs[urgent][0]
    return chosen
