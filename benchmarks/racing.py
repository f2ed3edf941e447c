"""Racing against a fixed sample count: measuring time to the same verified speed-up, tiling task.

    python benchmarks/racing.py [--seeds 3] [--cpu-seconds 300] [--rounds 12] [--folder DIR]

Both methods are the same search of the same task with the same memory of rounds, from an empty
cache. *Fixed* gives every pair of shape and tiling --rounds rounds and every confirmation its full
length; *racing* is the task as it ships. For each seed both run with the same budget, which of them
first alternating. Every program that was crowned is verified (shapes that selection never saw,
fresh processes); the target of a seed is what the last champion of *fixed* reaches there, and the
time of a method is the CPU its evaluations used (search and confirmation) until it crowned a
program whose verified speed-up is within half a percent of the target. A method that never does is
counted with all it used, as a lower bound. Bar: half the time. Finished runs are used again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from breeder.archive.records import ChallengeOutcome
from breeder.archive.store import Store
from breeder.core import Program
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.task_formats import load
from record import bootstrap, header, table
from tiling_variant import TASK, write_variant

FIXED = '''"""The tiling task with as many rounds for every candidate, whatever they show."""

import tiling_task
from tiling_task import quick, verify
from tiling_times import Rule
from tiling_trials import Length

ROUNDS = {rounds}
tiling_task.RULE = Rule(glance=ROUNDS, first=ROUNDS, promising=ROUNDS, again=0, most=ROUNDS)


def evaluate(candidate):
    """Every training shape."""
    known, _ = tiling_task.speedups()
    shapes = tiling_task.flat(tiling_task.TRAINING)
    chosen = tiling_task.ask(candidate, known.family, shapes)
    return tiling_task.score(known.family, chosen, known.race(shapes, chosen))


def confirm(candidate):
    """The full length of a confirmation."""
    return tiling_task.afresh(candidate, tiling_task.CONFIRMATION)
'''
RACING = '''"""The tiling task as it ships, without its baselines."""

from tiling_task import confirm, evaluate, quick, verify
'''
METHODS = {"fixed": FIXED, "racing": RACING}
METERED = ("search", "confirm")
SLACK = 0.005
VERIFICATIONS = 2


class Crowned(NamedTuple):
    """A confirmed champion: CPU seconds of all evaluations until then, and its program."""

    cpu_seconds: float
    program: Program


class Outcome(NamedTuple):
    """What a run came to: its champions with their verified speed-ups, and all CPU it used."""

    crowned: list[tuple[float, float]]
    cpu_seconds: float

    def time_to(self, target: float) -> tuple[float, bool]:
        """CPU seconds until `target` was reached, and whether it was."""
        for cpu_seconds, speedup in self.crowned:
            if speedup >= target * (1 - SLACK):
                return cpu_seconds, True
        return self.cpu_seconds, False


def search(folder: Path, method: str, options: argparse.Namespace, seed: int) -> Path:
    """Run one search unless it was finished before; return the run's folder."""
    out = folder / f"{method}{seed}"
    if (folder / f"{method}{seed}.json").is_file():
        return out
    shutil.rmtree(out, ignore_errors=True)
    task = folder / f"task-{method}"
    shutil.rmtree(task, ignore_errors=True)
    write_variant(task, METHODS[method].replace("{rounds}", str(options.rounds)))
    cache = folder / f"cache-{method}{seed}"
    shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-m", "breeder", "run", str(task), "--out", str(out), "--json"]
    flags = ["--seed", str(seed), "--cpu-seconds", str(options.cpu_seconds)]
    own = {**os.environ, "BREEDER_CACHE": str(cache.resolve())}
    subprocess.run([*command, *flags], check=True, stdout=subprocess.DEVNULL, env=own)
    return out


def champions(run: Path) -> tuple[list[Crowned], float]:
    """Every confirmed champion in order, and the CPU seconds of all evaluations."""
    with Store.open(run, readonly=True) as store:
        rows = [row for split in METERED for row in store.evaluations(split=split)]
        found = []
        for challenge in store.challenges():
            if challenge.outcome is ChallengeOutcome.CONFIRMED and challenge.decided is not None:
                spent = math.fsum(
                    row.evaluation.cost.cpu_seconds for row in rows if row.id <= challenge.decided
                )
                program = store.program(store.evaluation(challenge.evaluation).program_id)
                found.append(Crowned(spent, program))
    return found, math.fsum(row.evaluation.cost.cpu_seconds for row in rows)


async def verified(programs: Sequence[Program]) -> list[float]:
    """Verified speed-up of each program: geometric mean over fresh processes."""
    logs: list[list[float]] = [[] for _ in programs]
    for seed in range(VERIFICATIONS):
        executor = LocalExecutor(load(TASK), slots=1)
        try:
            await executor.start()
            for number, program in enumerate(programs):
                result = await executor.evaluate(Job(program, "verify", seed=seed))
                if result.failure is not None:
                    sys.exit(f"verification of {program.id} failed: {result.failure}")
                logs[number].append(math.log(result.metrics["speedup"]))
        finally:
            await executor.close()
    return [math.exp(fmean(values)) for values in logs]


def outcome(folder: Path, method: str, options: argparse.Namespace, seed: int) -> Outcome:
    """Search, verify every champion, and keep the result."""
    place = folder / f"{method}{seed}.json"
    run = search(folder, method, options, seed)
    if not place.is_file():
        crowned, spent = champions(run)
        values = asyncio.run(verified([one.program for one in crowned]))
        pairs = [(one.cpu_seconds, value) for one, value in zip(crowned, values, strict=True)]
        place.write_text(json.dumps({"crowned": pairs, "cpu_seconds": spent}), encoding="utf-8")
    data = json.loads(place.read_text(encoding="utf-8"))
    return Outcome([(cpu, value) for cpu, value in data["crowned"]], data["cpu_seconds"])


def main() -> None:
    """Print one row per seed and the ratio over seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cpu-seconds", type=float, default=300)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-racing"))
    options = parser.parse_args()
    budget = f"{options.cpu_seconds:g}s-{options.rounds}-rounds"
    folder = options.folder / budget
    folder.mkdir(parents=True, exist_ok=True)
    rows, logs = [], []
    for seed in range(1, options.seeds + 1):
        order = list(METHODS) if seed % 2 else list(METHODS)[::-1]
        results = {method: outcome(folder, method, options, seed) for method in order}
        target = results["fixed"].crowned[-1][1]
        times = {method: results[method].time_to(target) for method in METHODS}
        ratio = times["racing"][0] / times["fixed"][0]
        logs.append(math.log(ratio))
        last = results["racing"].crowned[-1][1]
        shown = [f"{'' if there else '> '}{spent:.0f}" for spent, there in times.values()]
        rows.append((seed, f"{target:.3f}", f"{last:.3f}", *shown, f"{ratio:.2f}"))
    print(header(f"Racing against {options.rounds} rounds for all, {options.cpu_seconds:g} CPU-s"))
    columns = ("seed", "fixed: verified", "racing: verified", "fixed: CPU s", "racing: CPU s")
    print(table((*columns, "racing / fixed"), rows))
    value, low, high = (math.exp(x) for x in bootstrap(logs))
    print(f"\nracing / fixed, geometric mean over seeds: {value:.2f} [{low:.2f}, {high:.2f}]")
    print("Bar: 0.50. With `>` the target was not reached and all CPU that was used is counted.")


if __name__ == "__main__":
    main()
