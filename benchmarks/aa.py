"""A/A: how often the same code is called faster or slower than itself, on a busy machine.

    python benchmarks/aa.py [--comparisons 200] [--seconds 2] [--pairs 100] [--folder DIR]

The four kinds of work take turns. Every one is compared with itself twice: with sequential stopping
(a look after nearly every pair, up to `--seconds`), and with a number of pairs fixed beforehand.
As many busy loops as there are cores run all the while. Finished comparisons stay in the folder.
"""

from __future__ import annotations

import argparse
import random
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from breeder import machine
from breeder.measurement import Comparison, Limits, Settings, compare
from breeder.measurement.workloads import Kind, twins
from record import header, share, table
from timing_trials import background_load, kept

BAR = 0.05
FALSE = ("faster", "slower")
MODES = {"sequential": True, "fixed number of pairs": False}


def against_itself(number: int, options: argparse.Namespace, *, sequential: bool) -> Comparison:
    """Compare one kind of work with itself."""
    kind = list(Kind)[number % len(Kind)]
    settings = Settings(margin=options.margin, sequential=sequential, threads=kind.threads)
    if sequential:
        limits = Limits(seconds=options.seconds, pairs=100_000)
    else:
        # Time must not decide when to stop, or the number of pairs would not be fixed.
        limits = Limits(seconds=3600, pairs=options.pairs)
    rng = random.Random(f"{number} {sequential}")
    return compare(*twins(kind), rng=rng, limits=limits, settings=settings)


def row(name: str, records: list[dict[str, Any]]) -> tuple[object, ...]:
    """One line of the table."""
    false = sum(record["verdict"] in FALSE for record in records)
    none = sum(record["verdict"] == "no difference" for record in records)
    pairs = median(record["pairs"] for record in records)
    clocks = "+".join(sorted({record["clock"] for record in records}))
    return name, share(false, len(records)), none, len(records) - false - none, pairs, clocks


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--comparisons", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a sequential comparison")
    parser.add_argument("--pairs", type=int, default=100, help="of a fixed comparison")
    parser.add_argument("--margin", type=float, default=0.01)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-aa"))
    options = parser.parse_args()
    file = options.folder / "comparisons.jsonl"
    records: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    with background_load(machine.cores()):
        for number in range(options.comparisons):
            for mode, sequential in MODES.items():
                size = options.seconds if sequential else options.pairs
                key = {"number": number, "mode": mode, "size": size, "margin": options.margin}
                measure = partial(against_itself, number, options, sequential=sequential)
                records[mode].append(kept(file, key, measure))
    print(header(f"A/A: the same code against itself, {machine.cores()} busy loops beside it"))
    columns = ("comparisons", "false faster or slower [95 %]", "no difference", "undecided")
    rows = []
    for mode, found in records.items():
        rows.append(row(f"{mode}, all", found))
        for index, kind in enumerate(Kind):
            if some := found[index :: len(Kind)]:
                rows.append(row(f"{mode}, {kind}", some))
    print(table((*columns, "median pairs", "clock"), rows))
    loads = [r["load"] for found in records.values() for r in found if r["load"] is not None]
    load = f"{min(loads):.1f}-{max(loads):.1f}" if loads else "unknown"
    print(f"\nload {load}; stated level 95 %; bar: at most {BAR:.0%} false of all comparisons")


if __name__ == "__main__":
    main()
