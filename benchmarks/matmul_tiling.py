"""Held-out speed-up of evolved tiling heuristics beside the default, the best setting, the oracle.

Usage: python benchmarks/matmul_tiling.py [PROGRAM] [--seeds N] [--cpu-seconds S] [--folder DIR]

PROGRAM is a program file or the folder of an exported champion, measured as it is. Without it, one
program is evolved per seed (no model) and each champion is measured. Programs run in the sandbox.
All choices are timed interleaved, on fresh rounds; the baselines' settings are searched for first
when this machine has not done so (a CPU minute).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from pathlib import Path

from breeder.admission import program_id
from breeder.archive.store import Store
from breeder.core import Evaluation, Program
from breeder.errors import BreederError, UserError
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.task import Task
from breeder.task_formats import load
from record import header, interval, table

TASK = "kernels/matmul_tiling"


def program(task: Task, place: Path | None) -> Program:
    """The program at `place`, else the task's start."""
    (name,) = task.files
    files = dict(task.files)
    if place is not None:
        source = place / name if place.is_dir() else place
        try:
            files[name] = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{source}: cannot be read: {error}; name a program file") from None
    return Program(program_id(files), files)


async def held_out(task: Task, candidate: Program) -> Evaluation:
    """Evaluate `candidate` on the held-out shapes, in the sandbox."""
    executor = LocalExecutor(task)
    try:
        await executor.start()
        return await executor.evaluate(Job(candidate, "held_out"))
    finally:
        await executor.close()


def evolved(folder: Path, seed: int, cpu_seconds: float) -> Program:
    """The champion of a run; finished runs in `folder` are used again."""
    out = folder / f"seed{seed}"
    if not (out / "run.db").is_file():
        command = [sys.executable, "-m", "breeder", "run", TASK, "--out", str(out), "--json"]
        flags = ["--seed", str(seed), "--cpu-seconds", str(cpu_seconds)]
        # Timings remembered from another seed's run would be CPU time this one did not pay for.
        own = {**os.environ, "BREEDER_CACHE": str((folder / f"cache{seed}").resolve())}
        subprocess.run([*command, *flags], check=True, stdout=subprocess.DEVNULL, env=own)
    with Store.open(out, readonly=True) as store:
        champion = store.champion()
        assert champion is not None
        return store.program(champion.program_id)


def measured(task: Task, candidate: Program) -> Evaluation:
    """Held-out evaluation of a program, or exit with one line on what is wrong."""
    try:
        result = asyncio.run(held_out(task, candidate))
    except BreederError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    if result.failure is not None:
        sys.exit(f"the program failed: {result.failure}")
    return result


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path, nargs="?")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-matmul"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cpu-seconds", type=float, default=300)
    options = parser.parse_args()
    task = load(TASK)
    if options.program is not None:
        candidates = [program(task, options.program)]
    else:
        seeds = range(1, options.seeds + 1)
        candidates = [evolved(options.folder, seed, options.cpu_seconds) for seed in seeds]
    results = [measured(task, candidate) for candidate in candidates]
    print(header(f"{TASK}, held-out shapes, one thread, CPU time"))
    for number, result in enumerate(results, start=1):
        print(f"program {number}\n\n{result.artifacts['choices']}\n")
    names = ("speedup", "oracle_fraction", "over_best_single")
    rows = [(name, interval([r.metrics[name] for r in results], ".3f")) for name in names]
    print(table(("metric, geometric mean over held-out shapes", "mean over programs [95 %]"), rows))


if __name__ == "__main__":
    main()
