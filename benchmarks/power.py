"""Power: how often `compare` finds a true difference of 2, 5 and 20 % in a millisecond of work.

    python benchmarks/power.py [--repeats 40] [--kind cache-resident] [--busy N] [--folder DIR]

The slower side does 2, 5 or 20 % more of the same work on the same buffers; which side that is, is
drawn. It must be found within 60, 15 and 3 seconds of measuring. `--busy` runs so many busy loops
beside it. Finished comparisons are kept in the folder.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from breeder.measurement import Comparison, Limits, Settings, compare
from breeder.measurement.workloads import Kind, pair
from record import header, share, table
from timing_trials import background_load, kept

BAR = 0.8
BUDGETS = {0.02: 60.0, 0.05: 15.0, 0.20: 3.0}  # true difference -> seconds of measuring


def swapped(number: int) -> bool:
    """Whether the candidate is the faster side in this repeat."""
    return random.Random(number).random() < 0.5


def different(kind: Kind, difference: float, number: int) -> Comparison:
    """Compare two works of which one does more."""
    less, more = pair(kind, difference)
    baseline, candidate = (more, less) if swapped(number) else (less, more)
    limits = Limits(seconds=BUDGETS[difference], pairs=100_000)
    settings = Settings(threads=kind.threads)
    rng = random.Random(f"{number} {difference}")
    return compare(baseline, candidate, rng=rng, limits=limits, settings=settings)


def row(difference: float, records: list[dict[str, Any]]) -> tuple[object, ...]:
    """One line of the table."""
    found = Counter[str]()
    times = []
    for number, record in enumerate(records):
        right, wrong = ("faster", "slower") if swapped(number) else ("slower", "faster")
        names = {right: "found", wrong: "wrong way round"}
        found[names.get(record["verdict"], record["verdict"])] += 1
        times.append(record["seconds"])
    estimated = median(
        record["ratio"] if swapped(number) else 1 / record["ratio"]
        for number, record in enumerate(records)
    )
    missed = (found["wrong way round"], found["no difference"], found["undecided"])
    return (
        f"{difference:.0%} in {BUDGETS[difference]:.0f} s",
        share(found["found"], len(records)),
        *missed,
        f"{median(times):.2f} s, {median(record['pairs'] for record in records):.0f} pairs",
        f"{estimated - 1:.2%}",
    )


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--kind", type=Kind, choices=list(Kind), default=Kind.CACHE)
    parser.add_argument("--busy", type=int, default=0, help="busy loops beside it")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-power"))
    options = parser.parse_args()
    file = options.folder / "comparisons.jsonl"
    records: dict[float, list[dict[str, Any]]] = {difference: [] for difference in BUDGETS}
    with background_load(options.busy):
        for number in range(options.repeats):
            for difference, found in records.items():
                key = {"number": number, "difference": difference, "kind": options.kind}
                key |= {"busy": options.busy}
                measure = partial(different, options.kind, difference, number)
                found.append(kept(file, key, measure))
    print(header(f"power, {options.kind} work, {options.busy} busy loops beside it"))
    columns = ("true difference", "found [95 %]", "wrong way round", "no difference", "undecided")
    rows = [row(difference, found) for difference, found in records.items()]
    print(table((*columns, "median work to the verdict", "median estimate"), rows))
    loads = [r["load"] for found in records.values() for r in found if r["load"] is not None]
    load = f"{min(loads):.1f}-{max(loads):.1f}" if loads else "unknown"
    print(f"\nload {load}; error 5 %; bar: {BAR:.0%} of the comparisons, or an honest undecided")


if __name__ == "__main__":
    main()
