"""Reproduces the published baselines of GPU scheduling on the openb trace, as a markdown table.

Run: BREEDER_OPENB=FOLDER python benchmarks/gpu_scheduling_baselines.py [--lists L] [--orders N]

Each line is one policy on one pod list on the whole cluster: GPU allocation in % when pods worth
130 % of the GPU capacity have arrived. Ours with a 95 % t interval over N orders of arrival
(default 5; 0.3-1 CPU-second per order); published: mean and standard deviation over ten seeds. The
orders are ours: the published ones come from another random generator. Their value is a mean over
the last half per cent of arrivals, ours is taken at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

import breeder.suites
from breeder.errors import BreederError
from breeder.evaluation.loading import load_evaluator

FOLDER = Path(breeder.suites.__file__).parent / "cluster" / "gpu_scheduling"
PUBLISHED = {"best fit": "BestFit", "dot product": "DotProd", "FGD": "FGD"}


def interval(values: Sequence[float]) -> str:
    """Mean and half-width of the 95 % t interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.2f} ± {half:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lists", default="default,cpu200,cpu250,gpushare100,gpuspec33,multigpu50")
    parser.add_argument("--orders", type=int, default=5)
    options = parser.parse_args()
    if options.orders < 2:
        print("--orders: must be 2 or more, an interval needs them", file=sys.stderr)
        return 2
    if not os.environ.get("BREEDER_OPENB"):
        print("BREEDER_OPENB: is not set; point it at the openb CSV files", file=sys.stderr)
        return 2
    try:
        table(options.lists.split(","), range(42, 42 + options.orders))
    except BreederError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def table(lists: Sequence[str], orders: Sequence[int]) -> None:
    evaluator = load_evaluator(FOLDER, "evaluate.py")
    print("| pod list | policy | ours | published |")
    print("|---|---|---|---|")
    for name in lists:
        workload = evaluator.assemble(evaluator.SOURCE, (name,), tuple(orders))
        for policy in evaluator.POLICIES:
            rows = evaluator.measure(workload, evaluator.run(policy, workload))
            ours = interval([row.outcome.at_end for row in rows])
            known = (
                evaluator.SOURCE.published_seeds(PUBLISHED[policy]) if policy in PUBLISHED else {}
            )
            found = known.get(name)
            shown = f"{np.mean(found):.2f} (sd {np.std(found, ddof=1):.2f})" if found else "-"
            print(f"| {name} | {policy} | {ours} | {shown} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
