"""Circle packing, n = 26: evolved search programs against plain multistart at equal CPU time.

For each seed, `breeder run maths/circle_packing` gets 30 CPU-minutes without any model, then the
initial program (plain multistart) is repeated with new seeds for as many CPU-seconds. Values are
exact sums of radii of verified packings, rounded down.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from breeder.archive.store import Store
from record import header, interval, table

BREEDER = [sys.executable, "-m", "breeder"]
CONFIG = 'baselines = ["repeated start"]\n'


def run(folder: Path, seed: int, cpu_seconds: float) -> tuple[float, float, int]:
    """Return the evolved value, the plain multistart's value, and the number of evaluations."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    config.write_text(CONFIG)
    out = folder / f"seed{seed}"
    if not (out / "run.db").is_file():
        subprocess.run(
            [*BREEDER, "run", "maths/circle_packing", "--out", str(out), "--seed", str(seed),
             "--cpu-seconds", str(cpu_seconds), "--config", str(config), "--json"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    store = Store.open(out, readonly=True)
    try:
        champion = store.champion()
        assert champion is not None
        plain = next(
            b for b in store.baselines() if b.name == "repeated start" and b.split == "search"
        )
        return (
            champion.evaluation.metrics["sum_radii"],
            plain.metrics["sum_radii"],
            store.counts()["evaluations"],
        )
    finally:
        store.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-circles"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cpu-minutes", type=float, default=30.0)
    options = parser.parse_args()
    results = [
        run(options.folder, seed, 60 * options.cpu_minutes) for seed in range(1, options.seeds + 1)
    ]
    print(header(f"26 circles, {options.cpu_minutes:g} CPU-minutes a run, no model"))
    rows = [
        (seed, f"{evolved:.10f}", f"{plain:.10f}", count)
        for seed, (evolved, plain, count) in enumerate(results, start=1)
    ]
    print(table(("seed", "evolved", "plain multistart, equal CPU time", "evaluations"), rows))
    print("\nmedian evolved:", interval([r[0] for r in results], ".7f", middle=True))
    print("median plain:  ", interval([r[1] for r in results], ".7f", middle=True))
    print("record 2.6359830849 (strict); bar 2.6355")


if __name__ == "__main__":
    main()
