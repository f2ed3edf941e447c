"""A/A of the timed tasks: the start confirmed against itself; is it ever faster or slower?

    python benchmarks/kernel_aa.py [--trials 100] [--power 20] [--folder runs/kernel_aa]

Every trial is one heat of confirmation as a run would take it, at the task's own effort, in an
evaluator process that a few trials share. For power, the start of the normalisation adds up 16
squares side by side instead of one. Finished trials are kept in the folder. Bar: at most 5 % of the
intervals of a start against itself exclude 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import breeder.suites
from breeder.capabilities import load
from breeder.core import Program
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.task import Task, load_native
from record import header, share, table

SUITES = Path(breeder.suites.__file__).parent / "kernels"
PER_PROCESS = 5
PLAIN = "const int bytes = 4;"
FASTER = "const int bytes = 64;"
BAR = 0.05


async def confirm(task: Task, files: dict[str, str], count: int) -> list[dict[str, Any]]:
    """Take heats of confirmation in one evaluator process, in sandboxes of its own."""
    executor = LocalExecutor(task, slots=1)
    records = []
    try:
        await executor.start()
        for _ in range(count):
            job = Job(Program("contender", files), "confirm", None, random.getrandbits(62))
            evaluation = await executor.evaluate(job)
            if evaluation.failure is not None:
                raise SystemExit(f"{task.name}: {evaluation.failure}")
            low, high = evaluation.intervals["speedup"]
            records.append(
                {
                    "ratio": evaluation.metrics["speedup"],
                    "low": low,
                    "high": high,
                    "cpu_seconds": evaluation.cost.cpu_seconds,
                    "load": load(),
                }
            )
    finally:
        await executor.close()
    return records


def trials(file: Path, task: Task, files: dict[str, str], count: int) -> list[dict[str, Any]]:
    """The first `count` trials that `file` holds, measured where they are missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    while len(known) < count:
        fresh = asyncio.run(confirm(task, files, min(PER_PROCESS, count - len(known))))
        known += fresh
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(f"{json.dumps(one)}\n" for one in fresh)
    return known[:count]


def row(name: str, known: list[dict[str, Any]]) -> tuple[object, ...]:
    """What trials came to."""
    logs = [math.log(one["ratio"]) for one in known]
    faster = sum(one["low"] > 1.0 for one in known)
    slower = sum(one["high"] < 1.0 for one in known)
    return (
        name,
        share(faster, len(known)),
        share(slower, len(known)),
        f"{math.exp(fmean(logs)):.4f} ({stdev(logs):.4f})",
        f"{median(math.log(one['high'] / one['low']) / 2 for one in known):.1%}",
        f"{fmean(one['cpu_seconds'] for one in known):.2f}",
    )


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--power", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("runs/kernel_aa"))
    options = parser.parse_args()
    rows, loads = [], []
    for name in ("rmsnorm", "matmul_tiling"):
        task = load_native(SUITES / name)
        file = options.folder / f"{name}.jsonl"
        known = trials(file, task, dict(task.files), options.trials)
        rows.append(row(f"{name}, start", known))
        loads += [one["load"] for one in known if one["load"] is not None]
    task = load_native(SUITES / "rmsnorm")
    start = task.files["initial.cpp"]
    assert start.count(PLAIN) == 1, "the start has changed"
    files = {"initial.cpp": start.replace(PLAIN, FASTER)}
    known = trials(options.folder / "faster.jsonl", task, files, options.power)
    rows.append(row("rmsnorm, 16 sums side by side", known))
    print(header("Confirming the start of a timed task against itself"))
    columns = ("contender", "faster [95 %]", "slower [95 %]", "mean ratio (deviation)")
    print(table((*columns, "half of an interval, median", "CPU seconds a heat"), rows))
    around = f"{min(loads):.1f}-{max(loads):.1f}" if loads else "unknown"
    print(f"\nload {around}; bar: at most {BAR:.0%} of the starts faster or slower together")


if __name__ == "__main__":
    main()
