"""Scores search programs for circle packing: what they find, checked in exact arithmetic."""

import math
from typing import Any

import numpy as np
from exact_packing import Packing, exact_total, repair
from packing_moves import Clock, feasible, polish, random_circles, relax

from breeder.evaluation.candidate import Candidate, InvalidAnswerError, Result

N = 26
HELD_OUT_SIZES = (20, 30)
# Largest sum of radii known for 26 circles with every constraint strict (README, "Record").
RECORD = 2.6359830849176076
MAX_DIGITS = 13.0
QUICK_SECONDS, SCRATCH_SECONDS, ON_SECONDS, HELD_OUT_SECONDS = 0.6, 1.5, 6.0, 4.0
SEARCH_SECONDS = 8.0  # of a multistart on the search split
DIGIT_WORTH = 0.05  # what a digit gained on the best known counts, in sums of radii
MARGIN = 1.0  # CPU seconds by which a search may overrun its budget before it is ended
HELD_OUT_SEEDS = 1_000_003  # selection's seeds are below


def evaluate_quick(candidate: Candidate) -> dict[str, float]:
    """Search from nothing, shortly: does the program search at all?"""
    found = search(candidate, N, None, candidate.seed, QUICK_SECONDS)
    return {"quick_sum": found.total}


def evaluate(candidate: Candidate) -> Result:
    """Search from nothing, then on from the best packing known.

    The sum of radii is that of the best packing that came out of either. The merit says what the
    program itself is worth, whatever it was handed: its sum from nothing, and a bonus for every
    digit of agreement with the record that it added to the best known.
    """
    best = candidate.construction
    known = repair(best, N) if best is not None else None
    candidate.restart()  # nothing of the quick stage's search is left
    scratch = search(candidate, N, None, candidate.seed, SCRATCH_SECONDS)
    ground = scratch if known is None or scratch.total > known.total else known
    onward = search(candidate, N, ground.rows, candidate.seed + 1, ON_SECONDS)
    found = max(ground, onward, key=lambda packing: packing.total)
    start = known.total if known is not None else found.total
    metrics = {
        "sum_radii": found.total,
        "scratch_sum": scratch.total,
        "merit": scratch.total + DIGIT_WORTH * (log_gap(found.total) - log_gap(start)),
        "log_gap": log_gap(found.total),
        "shrunk": found.shrunk,
    }
    words = f"from {start:.10f} to {found.total:.10f}; shrunk by {found.shrunk:.2e} to be exact"
    return Result(metrics, {"search": words}, construction=found.rows)


def evaluate_held_out(candidate: Candidate) -> dict[str, float]:
    """Check the carried packing again; search from nothing with other seeds and other sizes."""
    seed = HELD_OUT_SEEDS + candidate.seed
    carried = candidate.construction
    scratch = search(candidate, N, None, seed, HELD_OUT_SECONDS)
    final = repair(carried, N) if carried is not None else scratch
    metrics = {
        "sum_radii": final.total,
        "log_gap": log_gap(final.total),
        "scratch_sum": scratch.total,
    }
    for n in HELD_OUT_SIZES:
        metrics[f"sum_radii_{n}"] = search(candidate, n, None, seed + n, HELD_OUT_SECONDS).total
    return metrics


def verify_packing(construction: Any) -> dict[str, float]:
    """Check a packing of the record's size as it stands and sum its radii, exactly.

    Nothing is repaired here and nothing is remembered: what overlaps by the last digit is refused.
    """
    total = exact_total(construction, N)
    return {"sum_radii": total, "log_gap": log_gap(total)}


def baselines(split: str) -> dict[str, dict[str, float]]:
    """Two multistarts from nothing, each with the CPU time of one evaluation of the split."""
    named = {}
    for name, relaxed in (("multistart", False), ("relaxed_multistart", True)):
        if split == "search":
            total = multistart(N, 1, SEARCH_SECONDS, relaxed=relaxed).total
            named[name] = {"sum_radii": total, "log_gap": log_gap(total)}
            continue
        totals = {
            n: multistart(n, HELD_OUT_SEEDS + n, HELD_OUT_SECONDS, relaxed=relaxed).total
            for n in (N, *HELD_OUT_SIZES)
        }
        named[name] = {
            "sum_radii": totals[N],
            "log_gap": log_gap(totals[N]),
            "scratch_sum": totals[N],
            **{f"sum_radii_{n}": totals[n] for n in HELD_OUT_SIZES},
        }
    return named


def multistart(n: int, seed: int, cpu_seconds: float, *, relaxed: bool = False) -> Packing:
    """Solve from random starts until the CPU time is used up and keep the best.

    Plain: SLSQP on all constraints, as in the start program. Relaxed: first L-BFGS on a penalty,
    then SLSQP on near pairs only, which is the best plain use of the shipped building blocks.
    """
    rng = np.random.default_rng(seed)
    clock = Clock(cpu_seconds)
    best: Packing | None = None
    while best is None or clock.left() > 0.0:
        circles = random_circles(n, 0.05, rng)
        circles = polish(relax(circles, 120, 60.0), 40, 0.1) if relaxed else polish(circles, 60, 2)
        try:
            found = repair(feasible(circles), n)
        except InvalidAnswerError:  # the solver lost a circle
            continue
        if best is None or found.total > best.total:
            best = found
    return best


def search(candidate: Candidate, n: int, best: Any, seed: int, cpu_seconds: float) -> Packing:
    """Call the program's search under its budget of CPU time and repair what it returns."""
    incumbent = None if best is None else np.array(best, dtype=np.float64)
    answer = candidate.call(
        "search", n, incumbent, seed, cpu_seconds, cpu_seconds=cpu_seconds + MARGIN
    )
    return repair(answer, n)


def log_gap(total: float) -> float:
    """Digits by which a sum agrees with the record: -log10(record - sum).

    At most 13, which also stands for a sum at or above the record: look at the sum itself then.
    """
    return min(-math.log10(max(RECORD - total, 10.0**-MAX_DIGITS)), MAX_DIGITS)
