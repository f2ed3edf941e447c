"""Determinism: equal seeds, one slot, real executor and sandbox: are two runs identical?

    python benchmarks/determinism.py [--evaluations 200] [--seed 1]

The task that `breeder new` writes is run twice. Compared are every stored evaluation (program,
draw, island, fitness, placement, gain, metrics, failure, artifacts, seed), every program with its
text and lineage, and the archives that the stores replay to. Times differ and are left out. A third
run with another seed shows that the comparison can fail.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Hashable
from pathlib import Path

from breeder import scaffold
from breeder.archive.replay import replay
from breeder.archive.store import Store
from breeder.assembly import new_archive
from breeder.config import BudgetConfig, RunConfig
from breeder.runner import Run
from breeder.task import Task
from breeder.task_formats import load
from record import header, table

Content = dict[str, list[Hashable]]


def run(task: Task, folder: Path, evaluations: int, seed: int) -> Content:
    """Run the task and return what was stored, by kind, in order."""
    budget = BudgetConfig(evaluations=evaluations)
    settings = RunConfig(seed=seed, slots=1, budget=budget)
    asyncio.run(Run(task, settings, folder).start())
    archive = new_archive(task, settings)
    with Store.open(folder, readonly=True) as store:
        replay(archive, store)
        rows = list(store.evaluations())
        programs = [store.program(row.program_id) for row in rows]
    return {
        "evaluations": [
            (
                *(row.program_id, row.draw, row.island, row.fitness, row.placement, row.gain),
                *(repr(sorted(row.evaluation.metrics.items())), str(row.evaluation.failure)),
                *(repr(sorted(row.evaluation.artifacts.items())), row.evaluation.seed),
            )
            for row in rows
        ],
        "programs": [
            (program.id, repr(sorted(program.files.items())), program.parents, program.note)
            for program in programs
        ],
        "cells of the archive": [
            (view.island, tuple(view.cell), view.elite.program.id) for view in archive.cells()
        ],
    }


def main() -> None:
    """Run three times and print what is equal."""
    parser = argparse.ArgumentParser(description="Compare two runs of equal seed.")
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(header(f"Determinism, one slot, {options.evaluations} evaluations"))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "task"
        scaffold.new(folder)
        task = load(folder)
        seeds = (options.seed, options.seed, options.seed + 1)
        first, second, other = (
            run(task, Path(parent) / f"run-{number}", options.evaluations, seed)
            for number, seed in enumerate(seeds)
        )
    rows = [
        (kind, len(first[kind]), equal(first[kind], second[kind]), equal(first[kind], other[kind]))
        for kind in first
    ]
    print(table(("what", "compared", "equal, same seed", "equal, other seed"), rows))


def equal(one: list[Hashable], two: list[Hashable]) -> str:
    """How many entries are the same at the same place, of the longer list."""
    same = sum(a == b for a, b in zip(one, two, strict=False))
    return f"{same} of {max(len(one), len(two))}"


if __name__ == "__main__":
    main()
