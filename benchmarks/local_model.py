"""Is a small local model worth its CPU time? Model-free search with and without it, equal budget.

Runs `breeder run` on small tasks with the same seeds and the same CPU seconds, once with the three
model-free proposers and once with a local model beside them. What the model's process computes,
loading included, comes out of the budget. Per task: the champions' scores with and without, and
what the model did. Finished runs are kept and not repeated; with a limit on wall time the table
shows the pairs that are there by then, and with `--minutes 0` nothing is run.

    python benchmarks/local_model.py [--model SPEC] [--cpu-seconds S] [--seeds N] [--minutes M]
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from breeder.archive.store import Store
from breeder.proposers.llm.record import read_record
from record import header, interval, table

BREEDER = [sys.executable, "-m", "breeder"]
TASKS = Path(__file__).with_name("data") / "small_models"
KINDS = ("scheduling", "bin_packing", "rolling")


@dataclass(frozen=True)
class Result:
    """What one run came to.

    Attributes:
        start, champion: fitness.
        evaluations: in all.
        answers: of the model; `programs` of them were evaluated, `gains` became champion.
        cpu_seconds: of the model's process.
    """

    start: float
    champion: float
    evaluations: int
    answers: int = 0
    programs: int = 0
    gains: int = 0
    cpu_seconds: float = 0.0


def run(out: Path, kind: str, seed: int, cpu_seconds: float, model: str) -> Result:
    """Run, unless that was done before, and read the store; without a model if it is empty."""
    if not _finished(out):
        shutil.rmtree(out, ignore_errors=True)  # of one that was cut off
        flags = ["--model", model] if model else []
        subprocess.run(
            [*BREEDER, "run", str(TASKS / kind), "--out", str(out), "--seed", str(seed),
             "--cpu-seconds", str(cpu_seconds), "--json", *flags],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    store = Store.open(out, readonly=True)
    try:
        start, champion = store.start(), store.champion()
        assert start is not None
        assert champion is not None
        assert start.fitness is not None
        assert champion.fitness is not None
        found = Result(start.fitness, champion.fitness, store.counts()["evaluations"])
        team = read_record(store.state("models"))
        if team is None:
            return found
        rows = [
            row
            for row in store.evaluations()
            if store.program(row.program_id).proposer.startswith("model:")
        ]
        return Result(
            found.start,
            found.champion,
            found.evaluations,
            answers=sum(one.answers for one in team.models),
            programs=len(rows),
            gains=sum(row.gain > 0 for row in rows),
            cpu_seconds=sum(one.cpu_seconds for one in team.models),
        )
    finally:
        store.close()


def _finished(out: Path) -> bool:
    if not (out / "run.db").is_file():
        return False
    store = Store.open(out, readonly=True)
    try:
        return store.run().status == "finished"
    finally:
        store.close()


Pair = tuple[Result, Result]
"""What a task and seed came to without and with the model."""


def pairs_of(options: argparse.Namespace) -> dict[str, list[Pair]]:
    """Every pair that was there or could be begun in time, by task: one seed of all tasks first."""
    found: dict[str, list[Pair]] = {kind: [] for kind in options.tasks.split(",")}
    end = time.monotonic() + 60 * options.minutes
    for seed in range(1, options.seeds + 1):
        for kind, pairs in found.items():
            place = options.folder / f"{kind}-{options.cpu_seconds:g}"
            outs = (place / f"free{seed}", place / f"model{seed}")
            if time.monotonic() >= end and not all(map(_finished, outs)):
                continue
            free = run(outs[0], kind, seed, options.cpu_seconds, "")
            both = run(outs[1], kind, seed, options.cpu_seconds, options.model)
            print(f"{kind} {seed}: {free} {both}", file=sys.stderr, flush=True)
            pairs.append((free, both))
    return found


def row(kind: str, pairs: list[Pair]) -> tuple[str, ...]:
    """A line of the table."""
    lead = interval([both.champion - free.champion for free, both in pairs], ".3f")
    models = [both for _, both in pairs]
    counts = zip(*((m.answers, m.programs, m.gains) for m in models), strict=True)
    return (
        kind,
        str(len(pairs)),
        f"{pairs[0][0].start:.3f}",
        interval([free.champion for free, _ in pairs], ".3f"),
        interval([one.champion for one in models], ".3f"),
        lead if len(pairs) > 1 else "one seed",
        " / ".join(str(sum(part)) for part in counts),
        f"{sum(m.cpu_seconds for m in models) / len(models):.1f}",
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-local-model"))
    parser.add_argument("--model", default="local:qwen2.5-coder-0.5b")
    parser.add_argument("--cpu-seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", default=",".join(KINDS))
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="after which no pair of runs is begun"
    )
    options = parser.parse_args()
    rows = [row(kind, pairs) for kind, pairs in pairs_of(options).items() if pairs]
    title = f"{options.model} beside model-free search, {options.cpu_seconds:g} CPU-seconds"
    print(header(title))
    columns = ("task", "seeds", "start", "without", "with", "difference",
               "answers / evaluated / champions", "model CPU s a run")  # fmt: skip
    print(table(columns, rows))


if __name__ == "__main__":
    main()
