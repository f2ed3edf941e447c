"""Circle packing, n = 26: evolved search programs against multistart at equal CPU time.

For each seed, `breeder run maths/circle_packing` gets 30 CPU-minutes without any model. Beside it,
a plain multistart (SLSQP from random circles, which is what the start program amounts to) gets the
same CPU time from nothing; with --relaxed another one that uses the task's `relax` block first.
Both run on one thread, as programs in the sandbox do: a second one of the linear algebra library
would use CPU time and find nothing with it. Values are exact sums of radii of verified packings,
rounded down. Finished parts are kept in the folder, so the script can be interrupted and started
again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import breeder
from breeder.archive.store import Store
from record import header, interval, table

SUITE = Path(breeder.__file__).parent / "suites" / "maths" / "circle_packing"
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # before numpy is imported
BREEDER = [sys.executable, "-m", "breeder"]


def evolve(folder: Path, seed: int, cpu_seconds: float) -> tuple[float, int]:
    """Return the champion's sum of radii and the number of evaluations."""
    out = folder / f"seed{seed}"
    flags = ["--seed", str(seed), "--cpu-seconds", str(cpu_seconds), "--json"]
    if not (out / "run.db").is_file():
        command = ["run", "maths/circle_packing", "--out", str(out), *flags]
        subprocess.run([*BREEDER, *command], check=True, stdout=subprocess.DEVNULL)
    with Store.open(out, readonly=True) as store:
        if store.run().status != "finished":
            raise SystemExit(f"{out} is not finished: breeder resume {out}")
        champion = store.champion()
        assert champion is not None
        return champion.evaluation.metrics["sum_radii"], store.counts()["evaluations"]


def multistart(folder: Path, seed: int, cpu_seconds: float, *, relaxed: bool) -> float:
    """Return the sum of radii of a multistart from nothing."""
    path = folder / f"multistart-{'relaxed' if relaxed else 'plain'}-{seed}.json"
    if not path.is_file():
        sys.path.insert(0, str(SUITE))
        evaluate = importlib.import_module("evaluate")
        found = evaluate.multistart(26, seed, cpu_seconds, relaxed=relaxed)
        path.write_text(json.dumps({"total": found.total}))
    return float(json.loads(path.read_text())["total"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-circles"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cpu-minutes", type=float, default=30.0)
    parser.add_argument("--relaxed", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    seconds, seeds = 60 * options.cpu_minutes, range(1, options.seeds + 1)
    evolved = [evolve(options.folder, seed, seconds) for seed in seeds]
    columns = {
        "evolved": [value for value, _ in evolved],
        "plain multistart": [multistart(options.folder, n, seconds, relaxed=False) for n in seeds],
    }
    if options.relaxed:
        found = [multistart(options.folder, n, seconds, relaxed=True) for n in seeds]
        columns["relaxed multistart"] = found
    print(header(f"26 circles, {options.cpu_minutes:g} CPU-minutes a run, no model"))
    shown = [[f"{value:.10f}" for value in values] for values in columns.values()]
    rows = list(zip(seeds, [count for _, count in evolved], *shown, strict=True))
    print(table(("seed", "evaluations", *columns), rows))
    for name, values in columns.items():
        print(f"\nmedian, {name}: {interval(values, '.7f', middle=True)}")
    print("\nrecord 2.6359830849 (strict); bar 2.6355")


if __name__ == "__main__":
    main()
