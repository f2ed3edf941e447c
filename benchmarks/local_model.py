"""Is a small local model worth its CPU time? Model-free search with and without it, equal budget.

Runs `breeder run` on small tasks with the same seeds and the same CPU seconds, once with the three
model-free proposers and once with a local model beside them. What the model's process computes,
loading included, comes out of the budget. Per task: the champions' scores with and without, and
what the model did. Finished runs are kept and not repeated.

    python benchmarks/local_model.py [--model SPEC] [--cpu-seconds S] [--seeds N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-local-model"))
    parser.add_argument("--model", default="local:qwen2.5-coder-0.5b")
    parser.add_argument("--cpu-seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", default=",".join(KINDS))
    options = parser.parse_args()
    rows = []
    for kind in options.tasks.split(","):
        pairs = []
        for seed in range(1, options.seeds + 1):
            place = options.folder / f"{kind}-{options.cpu_seconds:g}"
            free = run(place / f"free{seed}", kind, seed, options.cpu_seconds, "")
            both = run(place / f"model{seed}", kind, seed, options.cpu_seconds, options.model)
            print(f"{kind} {seed}: {free} {both}", file=sys.stderr, flush=True)
            pairs.append((free, both))
        lead = interval([both.champion - free.champion for free, both in pairs], ".3f")
        models = [both for _, both in pairs]
        rows.append(
            (
                kind,
                f"{pairs[0][0].start:.3f}",
                interval([free.champion for free, _ in pairs], ".3f"),
                interval([one.champion for one in models], ".3f"),
                lead if len(pairs) > 1 else "one seed",
                " / ".join(
                    str(sum(part)) for part in zip(
                        *((m.answers, m.programs, m.gains) for m in models), strict=True
                    )
                ),
                f"{sum(m.cpu_seconds for m in models) / len(models):.1f}",
            )
        )  # fmt: skip
    title = f"{options.model} beside model-free search, {options.cpu_seconds:g} CPU-seconds"
    print(header(f"{title}, {options.seeds} seeds"))
    columns = ("task", "start", "without", "with", "difference", "answers / evaluated / champions",
               "model CPU s a run")  # fmt: skip
    print(table(columns, rows))


if __name__ == "__main__":
    main()
