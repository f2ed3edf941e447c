"""Racing against a fixed sample count: measuring time to the same verified speed-up, tiling task.

    python benchmarks/racing.py [--seeds 3] [--first 1] [--cpu-seconds 150] [--rounds 24] [--own]

Both methods are the task with the same memory of rounds, from an empty cache. *Racing* is the task
as it ships. *Fixed* gives every pair of shape and tiling --rounds rounds, as many as racing gives
to the promising ones, and every confirmation its full length.

Which programs a short search happens to propose matters more than what measuring costs. So both
methods are given the same programs in the same order: those of a third search of --cpu-seconds.
With --own each searches on its own instead, with the same budget.

Every program that was crowned is verified in fresh processes on fresh operands and rounds: on the
shapes of the search, which is what measuring can decide, and on held-out shapes, where the luck of
how far a rule carries over comes in, whatever was measured. The target of a seed is what the last
champion of *fixed* reaches there; the time of a method is the CPU time of timed batches, in search
and confirmation, until it crowned a program whose verified speed-up is within one percent of the
target, about the error of a verification. Which of the last few champions verifies within one
percent is luck, though; so the same is done with every champion of *fixed* as the target in turn,
and the mean over them stands for a seed. (Every new pair is checked for correctness first, which
costs both the same and is no measuring; the last columns have all CPU time of evaluations.) A
method that never reaches a target is counted with all it used, as a lower
bound. Bar: half the time. Finished parts are kept in the folder and used again.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple

from breeder.admission import Admission
from breeder.archive.records import ChallengeOutcome, EvaluationRecord, RunRecord
from breeder.archive.store import Store
from breeder.assembly import grammar_of, new_archive
from breeder.config import RunConfig
from breeder.core import Budget, Program
from breeder.engine import Engine
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.ledger import Ledger, SystemClock
from breeder.progress import Parts, Settings
from breeder.proposers.mixture import Mixture
from breeder.proposers.scripted import ScriptedProposer
from breeder.task import Task
from breeder.task_formats import load
from record import bootstrap, header, table
from tiling_variant import TASK, write_variant

METER = '''"""The tiling task, without its baselines, with the time that measuring takes."""

import time
from dataclasses import replace

import tiling_task
from tiling_task import verify
from tiling_times import Rule

SPENT = [0.0]


class Metered(tiling_task.KernelClock):
    """Counts the CPU time of every timed batch."""

    def _batch(self, *args):
        begin = time.process_time()
        try:
            return super()._batch(*args)
        finally:
            SPENT[0] += time.process_time() - begin


tiling_task.KernelClock = Metered


def metered(name, function, candidate):
    before = SPENT[0]
    result = function(candidate)
    return replace(result, metrics={**result.metrics, name: SPENT[0] - before})


def quick(candidate):
    return metered("quick_measuring", tiling_task.quick, candidate)
'''
RACING = """

def evaluate(candidate):
    return metered("measuring", tiling_task.evaluate, candidate)


def confirm(candidate):
    return metered("measuring", tiling_task.confirm, candidate)
"""
FIXED = """

ROUNDS = {rounds}
tiling_task.RULE = Rule(levels=(ROUNDS,))


def every_shape(candidate):
    known, _ = tiling_task.speedups()
    shapes = tiling_task.flat(tiling_task.TRAINING)
    chosen = tiling_task.ask(candidate, known.family, shapes)
    return tiling_task.score(known.family, chosen, known.race(shapes, chosen))


def full_length(candidate):
    return tiling_task.afresh(candidate, tiling_task.CONFIRMATION)


def evaluate(candidate):
    return metered("measuring", every_shape, candidate)


def confirm(candidate):
    return metered("measuring", full_length, candidate)
"""
METHODS = {"fixed": FIXED, "racing": RACING}
METERED = ("search", "confirm")
SLACK = 0.01
VERIFICATIONS = 5
SLOTS = 2


SPLITS: dict[str, Literal["confirm", "verify"]] = {"search": "confirm", "held out": "verify"}
"""Where a champion is verified: the shapes that methods measure, and those that neither sees."""


class Crowned(NamedTuple):
    """A confirmed champion: seconds of measuring until then, and its program."""

    seconds: float
    program: Program


class Outcome(NamedTuple):
    """What a method came to: champions with their verified speed-ups, measuring and CPU seconds.

    Attributes:
        crowned: seconds of measuring until then, and the speed-up on each of `SPLITS`.
    """

    crowned: list[tuple[float, dict[str, float]]]
    seconds: float
    programs: int
    cpu_seconds: float

    def time_to(self, target: float, split: str) -> tuple[float, bool]:
        """Seconds of measuring until `target` was reached, and whether it was."""
        for seconds, speedups in self.crowned:
            if speedups[split] >= target * (1 - SLACK):
                return seconds, True
        return self.seconds, False


def variant(folder: Path, method: str, options: argparse.Namespace) -> Task:
    """The task of a method, written anew."""
    place = folder / f"task-{method}"
    shutil.rmtree(place, ignore_errors=True)
    return write_variant(place, METER + METHODS[method].replace("{rounds}", str(options.rounds)))


def own_cache(folder: Path, name: str) -> dict[str, str]:
    """An environment with an empty cache."""
    cache = folder / f"cache-{name}"
    shutil.rmtree(cache, ignore_errors=True)
    return {**os.environ, "BREEDER_CACHE": str(cache.resolve())}


def search(folder: Path, task: str, name: str, options: argparse.Namespace, seed: int) -> Path:
    """Run a search of its own unless it was finished before; return its folder."""
    out, done = folder / name, folder / f"{name}.done"
    if not done.is_file():
        shutil.rmtree(out, ignore_errors=True)
        command = [sys.executable, "-m", "breeder", "run", task, "--out", str(out), "--json"]
        flags = ["--seed", str(seed), "--cpu-seconds", str(options.cpu_seconds)]
        own = own_cache(folder, name)
        subprocess.run([*command, *flags], check=True, stdout=subprocess.DEVNULL, env=own)
        done.touch()
    return out


def stream(run: Path) -> list[Program]:
    """The programs of a search in the order in which they were evaluated, without its start."""
    with Store.open(run, readonly=True) as store:
        rows = [row.program_id for row in store.evaluations() if row.draw >= 0]
        return [store.program(identity) for identity in rows]


async def replay(out: Path, task: Task, programs: Sequence[Program]) -> None:
    """Run the engine on a given list of programs."""
    config = RunConfig()
    record = RunRecord(
        "0", TASK, task.kind, str(task.folder), "", task.file.model_dump_json(), "{}", "", True,
        "{}", "",
    )  # fmt: skip
    executor = LocalExecutor(task, slots=SLOTS)
    script = ScriptedProposer(lambda n: programs[n].files if n < len(programs) else None)
    try:
        await executor.start()
        with Store.create(out, record) as store:
            parts = Parts(
                task,
                new_archive(task, config),
                Mixture([script], stages=len(task.file.stage)),
                Admission(task.files, grammar_of(task), source_kib=task.file.limits.source_kib),
                executor,
                store,
                Ledger(Budget(evaluations=len(programs) + 1), SystemClock()),
            )
            await Engine(parts, Settings()).run()
    finally:
        await executor.close()


def measuring(row: EvaluationRecord) -> float:
    """Seconds of timed batches of an evaluation; one that failed counts with all its CPU."""
    if row.evaluation.failure is not None:
        return row.evaluation.cost.cpu_seconds
    metrics = row.evaluation.metrics
    return metrics.get("quick_measuring", 0.0) + metrics["measuring"]


def champions(run: Path) -> tuple[list[Crowned], float, int, float]:
    """Every confirmed champion in order, seconds of measuring, programs, CPU seconds."""
    with Store.open(run, readonly=True) as store:
        rows = [row for split in METERED for row in store.evaluations(split=split)]
        found = []
        for challenge in store.challenges():
            if challenge.outcome is ChallengeOutcome.CONFIRMED and challenge.decided is not None:
                spent = math.fsum(measuring(row) for row in rows if row.id <= challenge.decided)
                program = store.program(store.evaluation(challenge.evaluation).program_id)
                found.append(Crowned(spent, program))
    programs = sum(row.split == "search" for row in rows)
    spent = math.fsum(measuring(row) for row in rows)
    return found, spent, programs, math.fsum(row.evaluation.cost.cpu_seconds for row in rows)


async def verified(programs: Sequence[Program]) -> list[dict[str, float]]:
    """Speed-up of each program on each of `SPLITS`: geometric mean over fresh processes."""
    logs: list[dict[str, list[float]]] = [{name: [] for name in SPLITS} for _ in programs]
    for seed in range(VERIFICATIONS):
        executor = LocalExecutor(load(TASK), slots=1)
        try:
            await executor.start()
            for program, values in zip(programs, logs, strict=True):
                for name, split in SPLITS.items():
                    result = await executor.evaluate(Job(program, split, seed=2**30 + seed))
                    if result.failure is not None:
                        sys.exit(f"verification of {program.id} failed: {result.failure}")
                    values[name].append(math.log(result.metrics["speedup"]))
        finally:
            await executor.close()
    return [{name: math.exp(fmean(one)) for name, one in values.items()} for values in logs]


def outcome(folder: Path, method: str, options: argparse.Namespace, seed: int) -> Outcome:
    """Let a method work, verify every champion, and keep the result."""
    name = f"{method}{seed}{'-own' if options.own else ''}"
    place = folder / f"{name}.json"
    if not place.is_file():
        task = variant(folder, method, options)
        if options.own:
            run = search(folder, str(task.folder), name, options, seed)
        else:
            programs = stream(search(folder, TASK, f"stream{seed}", options, seed))
            run = folder / name
            shutil.rmtree(run, ignore_errors=True)
            os.environ |= own_cache(folder, name)
            asyncio.run(replay(run, task, programs))
        crowned, *books = champions(run)
        values = asyncio.run(verified([one.program for one in crowned]))
        pairs = [(one.seconds, value) for one, value in zip(crowned, values, strict=True)]
        place.write_text(json.dumps([pairs, *books]), encoding="utf-8")
    pairs, *books = json.loads(place.read_text(encoding="utf-8"))
    return Outcome([(seconds, value) for seconds, value in pairs], *books)


def main() -> None:
    """Print one row per seed and the ratio over seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1, help="number of the first seed")
    parser.add_argument("--cpu-seconds", type=float, default=150)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--own", action="store_true", help="each method searches on its own")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-racing"))
    options = parser.parse_args()
    folder = options.folder / f"{options.cpu_seconds:g}s-{options.rounds}-rounds"
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {}
    for seed in range(options.first, options.first + options.seeds):
        order = list(METHODS) if seed % 2 else list(METHODS)[::-1]
        seeds[seed] = {method: outcome(folder, method, options, seed) for method in order}
    what = "each its own search" if options.own else "the same programs"
    title = f"Racing against {options.rounds} rounds for all, {options.cpu_seconds:g} CPU-s, {what}"
    print(header(title))
    for split in SPLITS:
        show(split, seeds)
    totals = [
        math.log(one["racing"].seconds / one["racing"].programs)
        - math.log(one["fixed"].seconds / one["fixed"].programs)
        for one in seeds.values()
    ]
    print(f"\nmeasuring per program, racing / fixed, mean over seeds: {ratio_of(totals)}")
    print("\nBar: 0.50. With `>` the target was not reached; all that was measured is counted.")


def show(split: str, seeds: Mapping[int, Mapping[str, Outcome]]) -> None:
    """Print one row per seed and the ratio over seeds, champions being verified on `split`."""
    rows, logs = [], []
    for seed, results in seeds.items():
        fixed, racing = results["fixed"], results["racing"]
        target = fixed.crowned[-1][1][split]
        times = {method: results[method].time_to(target, split) for method in METHODS}
        ratio = times["racing"][0] / times["fixed"][0]
        logs.append(math.log(ratio))
        shown = [f"{'' if there else '> '}{spent:.1f}" for spent, there in times.values()]
        whole = [f"{results[m].seconds:.0f} of {results[m].cpu_seconds:.0f}" for m in METHODS]
        last = racing.crowned[-1][1][split]
        programs = f"{fixed.programs}, {racing.programs}"
        rows.append(
            (seed, programs, f"{target:.3f}", f"{last:.3f}", *shown, f"{ratio:.2f}", *whole)
        )
    print(f"\nVerified on shapes of: {split}\n")
    columns = ("seed", "programs", "fixed: verified", "racing: verified", "fixed: s", "racing: s")
    print(table((*columns, "racing / fixed", "fixed: all of CPU s", "racing: all of CPU s"), rows))
    print(f"\ntime to the target, racing / fixed, mean over seeds: {ratio_of(logs)}")
    means = [fmean(to_each(split, results)) for results in seeds.values()]
    listed = ", ".join(f"{math.exp(one):.2f}" for one in means)
    print(f"time to each champion of fixed, racing / fixed: {listed}; mean {ratio_of(means)}")


def to_each(split: str, results: Mapping[str, Outcome]) -> list[float]:
    """Log of racing / fixed for the time to what each champion of *fixed* reaches but the start."""
    times = [
        [results[method].time_to(value[split], split)[0] for method in ("racing", "fixed")]
        for _, value in results["fixed"].crowned[1:]
    ]
    return [math.log(racing / fixed) for racing, fixed in times]


def ratio_of(logs: Sequence[float]) -> str:
    """A geometric mean with its 95 % interval by bootstrap."""
    value, low, high = (math.exp(x) for x in bootstrap(logs))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
