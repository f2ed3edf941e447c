"""GPU scheduling: an evolved score against the best baseline, list by list, on held-out lists.

Runs `breeder run cluster/gpu_scheduling` for the stated CPU time on each seed (the real trace when
BREEDER_OPENB names its folder, the generator otherwise), then prints the held-out GPU allocation of
start, champion and every baseline, and the champion's lead over the best of them list by list.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from breeder.archive.store import Store
from record import header, interval, table

BREEDER = [sys.executable, "-m", "breeder"]
METRIC = "gpu_allocated"
BEST = "best per list"


def run(out: Path, seed: int, cpu_seconds: float) -> dict[str, float]:
    """Return held-out allocation in percent: start, champion, and each baseline."""
    if not (out / "run.db").is_file():
        subprocess.run(
            [*BREEDER, "run", "cluster/gpu_scheduling", "--out", str(out), "--seed", str(seed),
             "--cpu-seconds", str(cpu_seconds), "--json"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    store = Store.open(out, readonly=True)
    try:
        found = {
            b.name: b.metrics[METRIC]
            for b in store.baselines()
            if b.split == "held_out" and METRIC in b.metrics
        }
        for name, row in (("start", store.start()), ("champion", store.champion())):
            assert row is not None
            held_out = store.held_out(row.program_id)
            assert held_out is not None
            found[name] = held_out.evaluation.metrics[METRIC]
        return found
    finally:
        store.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-gpu"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cpu-seconds", type=float, default=900)
    options = parser.parse_args()
    data = "real trace" if os.environ.get("BREEDER_OPENB") else "generated lists"
    results = [
        run(options.folder / f"seed{seed}", seed, options.cpu_seconds)
        for seed in range(1, options.seeds + 1)
    ]
    print(header(f"GPU scheduling, {data}, {options.cpu_seconds:g} CPU-seconds a run"))
    names = sorted(results[0], key=lambda name: results[0][name])
    rows = [(name, interval([r[name] for r in results], ".2f")) for name in names]
    print(table(("policy", "GPU allocated on held-out lists, %"), rows))
    lead = [r["champion"] - r[BEST] for r in results]
    print(f"\nlead over {BEST}, points:", interval(lead, ".2f"), " bar 0.7")


if __name__ == "__main__":
    main()
