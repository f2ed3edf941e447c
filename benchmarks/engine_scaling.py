"""Engine CPU per iteration against the number of programs in the archive.

The evaluator is trivial and runs in real evaluator processes with the real sandbox; counted is the
CPU time of the engine's own process (proposing, admission, placing, committing, talking to the
evaluators), not the evaluation. The store is filled through its public API first and the run is
resumed, so that the archive, the fingerprints and the database have the stated size.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from breeder import scaffold
from breeder.admission import program_id
from breeder.archive.store import EvaluationRecord, Store
from breeder.config import RunConfig
from breeder.core import Evaluation, Placement, Program
from breeder.engine import Engine
from breeder.runner import Run, Watch
from breeder.task_formats import load
from record import header, interval, table

SIZES = (10, 10_000, 100_000)
WARM_UP = 150  # iterations left out: the first use of CMA-ES imports it, once per run
ITERATIONS = 400
BLOCK = 50


def fill(store: Store, start: Program, count: int) -> None:
    """Add `count` distinct programs of about 2 kB with random fitness."""
    rng = random.Random(1)
    name, text = next(iter(start.files.items()))
    padding = "\n".join(f"# {rng.random()}" for _ in range(90))
    for number in range(count):
        files = {name: text.replace("EVOLVE-BLOCK-END", f"EVOLVE-BLOCK-END\n# {number}\n{padding}")}
        program = Program(
            program_id(files), files, (start.id,), "syntax", "filler", f"filler{number}", 60, 1
        )
        value = -5.0 - rng.random() * 100
        store.record(
            program,
            EvaluationRecord(
                program.id,
                Evaluation({"lateness": -value, "late_jobs": rng.random()}, stages_run=2),
                draw=number,
                island=number % 2,
                fitness=value,
                placement=Placement.IMPROVED,
            ),
        )


async def measure(folder: Path, size: int) -> list[float]:
    """CPU milliseconds of the engine per iteration, in blocks of `BLOCK` iterations."""
    task = load(str(folder / "task"))
    marks: list[tuple[int, float]] = []

    def note(engine: Engine) -> None:
        done = engine.parts.ledger.evaluations
        if done % BLOCK == 0 and (not marks or marks[-1][0] != done):
            marks.append((done, time.process_time()))

    out = folder / f"run{size}"
    first = RunConfig.model_validate({"budget": {"evaluations": 2}})
    await Run(task, first, out).start()
    store = Store.open(out)
    start = store.start()
    assert start is not None
    fill(store, store.program(start.program_id), size)
    done = store.counts()["evaluations"]
    store.close()
    config = RunConfig.model_validate(
        {"budget": {"evaluations": done + WARM_UP + ITERATIONS + BLOCK}}
    )
    await Run(task, config, out, watch=Watch(on_change=note)).resume()
    return [
        1000 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(marks[1 + WARM_UP // BLOCK :])
    ]


def main() -> None:
    """Print the table."""
    sizes = tuple(int(a) for a in sys.argv[1:]) or SIZES
    print(header("Engine CPU per iteration"))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scaffold.new(folder / "task")
        for size in sizes:
            blocks = asyncio.run(measure(folder, size))
            bar = 5 if size <= 10 else 6 if size <= 10_000 else 10
            rows.append((f"{size:,}", interval(blocks), f"≤ {bar}"))
    print(table(("programs in the archive", "CPU ms per iteration, mean [95 %]", "bar"), rows))


if __name__ == "__main__":
    main()
