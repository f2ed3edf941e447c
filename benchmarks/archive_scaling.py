"""CPU time of one draw, one place and one record against the number of programs in a run.

    python benchmarks/archive_scaling.py [--sizes 10 1000 10000 100000] [--window 1000]

One archive and one store on disk grow to each size; from there on every operation of a window is
timed on its own with the CPU clock of the thread (SQLite works in the calling thread, checkpoints
included). Programs hold 2 kB of text and fall into a grid of 8 x 16 cells on two islands. At every
size the store is also replayed into an empty archive.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

from breeder.archive.islands import IslandArchive
from breeder.archive.replay import replay
from breeder.archive.store import EvaluationRecord, RunRecord, Store
from breeder.core import Cost, Elite, Evaluation, Objective, Placement, Program
from breeder.task import FeatureSection

TARGET_MS = 1.5
FEATURES = (
    FeatureSection(name="size", low=8, high=4096, bins=8, log=True),
    FeatureSection(name="spread", low=0, high=1, bins=16),
)


class GrowingRun:
    """A run of synthetic programs that grows by one with every `step`."""

    def __init__(self, folder: Path) -> None:
        self.rng = random.Random(1)
        self.archive = new_archive()
        self.store = Store.create(folder, run_record())
        self.count = 0

    def step(self) -> tuple[float, float, float]:
        """Draw, place and record once; CPU milliseconds of each."""
        draw = 0.0
        if self.count:
            draw, _ = timed(lambda: self.archive.draw(self.rng, inspirations=4))
        elite = self._elite()
        island = self.count % self.archive.selection.islands
        place, placement = timed(lambda: self.archive.place(elite, island))
        row = self._row(elite, island, placement)
        record, _ = timed(lambda: self.store.record(elite.program, row))
        self.count += 1
        return draw, place, record

    def _elite(self) -> Elite:
        name = sha256(str(self.count).encode()).hexdigest()
        text = "".join(f"x{i:03} = {self.rng.random():.12f}\n" for i in range(95))
        program = Program(
            id=name[:16],
            files={"program.py": text},
            parents=("0" * 16,),
            proposer="syntax",
            note="swapped two statements",
            fingerprint=name[:32],
            size=int(2 ** self.rng.uniform(3, 12)),
            generation=1,
        )
        # The best rises slowly, as in a run; most programs are worse than what is kept.
        score = self.rng.gauss(0.0, 1.0) + (self.count + 1.0) ** 0.1
        evaluation = Evaluation(
            metrics={"score": score, "spread": self.rng.random()},
            cost=Cost(cpu_seconds=0.1, wall_seconds=0.1),
            stage="full",
            stages_run=1,
        )
        return Elite(program, evaluation, score)

    def _row(self, elite: Elite, island: int, placement: Placement) -> EvaluationRecord:
        return EvaluationRecord(
            program_id=elite.program.id,
            evaluation=elite.evaluation,
            draw=self.count,
            island=island,
            fitness=elite.fitness,
            placement=placement,
        )


def new_archive() -> IslandArchive:
    return IslandArchive((Objective("score"),), FEATURES)


def run_record() -> RunRecord:
    return RunRecord(
        breeder_version="0",
        task_name="scaling",
        task_kind="breeder",
        task_folder="",
        task_digest="",
        task_json="{}",
        config_json="{}",
        sandbox="bubblewrap",
        trusted=True,
        machine_json="{}",
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.thread_time_ns()
    answer = action()
    return (time.thread_time_ns() - begin) / 1e6, answer


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def report(size: int, times: list[tuple[float, float, float]], replayed: float) -> bool:
    draw, place, record = (fmean(column) for column in zip(*times, strict=True))
    totals = [sum(one) for one in times]
    cuts = quantiles(totals, n=100)
    total = fmean(totals)
    met = total <= TARGET_MS
    print(
        f"{size:>9,} {draw:>8.3f} {place:>8.3f} {record:>8.3f} {total:>8.3f} {cuts[49]:>8.3f}"
        f" {cuts[98]:>8.3f} {replayed:>9.2f}  {'yes' if met else 'NO'}"
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1_000, 10_000, 100_000])
    parser.add_argument("--window", type=int, default=1_000, help="operations timed at each size")
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {processor()}, {os.cpu_count()} cores, "
          f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")  # fmt: skip
    print(f"CPU ms per operation, mean of {options.window}; replay in CPU s; bar: mean sum "
          f"<= {TARGET_MS} ms")  # fmt: skip
    print(f"{'programs':>9} {'draw':>8} {'place':>8} {'record':>8} {'sum':>8} {'p50':>8}"
          f" {'p99':>8} {'replay':>9}  met")  # fmt: skip
    met = True
    with tempfile.TemporaryDirectory() as folder:
        run = GrowingRun(Path(folder))
        for size in sorted(options.sizes):
            while run.count < size:
                run.step()
            seconds, _ = timed(lambda: replay(new_archive(), run.store))
            start = run.count
            met &= report(start, [run.step() for _ in range(options.window)], seconds / 1e3)
        run.store.close()
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
