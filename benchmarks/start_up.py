"""Start-up: `breeder --help`, and CPU until the first evaluation of a scaffolded task is finished.

    python benchmarks/start_up.py [--repeats 5] [--sandbox bubblewrap]

CPU counts the whole process tree. The real path is `breeder run` up to the commit of its first
evaluation, everything included. Beside it, evaluator and sandbox alone: "from construction" starts
when `LocalExecutor` is built, "from interpreter start" includes Python and all imports. Each figure
is the median of the repeats with its bootstrap interval.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from breeder import scaffold
from record import header, interval, table

FIRST_EVALUATION = """
import asyncio, os, sys
from pathlib import Path
from breeder.core import Program
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.executors.process_tree import tree_cpu_seconds
from breeder.task_formats import load

async def run(folder, sandbox):
    task = load(folder)
    begin = tree_cpu_seconds(os.getpid())
    executor = LocalExecutor(task, slots=2, sandbox=sandbox)
    await executor.start()
    evaluation = await executor.evaluate(Job(Program("initial", task.files)))
    end = tree_cpu_seconds(os.getpid())
    await executor.close()
    assert evaluation.failure is None, evaluation.failure
    print(end - begin, end)

asyncio.run(run(sys.argv[1], sys.argv[2]))
"""

REAL_RUN = """
import os, sys
from breeder import cli
from breeder.archive.store import Store
from breeder.executors.process_tree import tree_cpu_seconds

record, told = Store.record, []

def telling(store, program, row):
    number = record(store, program, row)
    if not told:
        told.append(tree_cpu_seconds(os.getpid()))
        print(told[0], file=sys.stderr)
    return number

Store.record = telling
sys.argv[0] = "breeder"
cli.main()
"""


def children_cpu_seconds() -> float:
    """CPU seconds of all children that were waited for, with their descendants."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def command(arguments: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one command."""
    begin, cpu = time.perf_counter(), children_cpu_seconds()
    subprocess.run(arguments, check=True, capture_output=True)
    return time.perf_counter() - begin, children_cpu_seconds() - cpu


def first_evaluation(folder: Path, sandbox: str) -> tuple[float, float]:
    """CPU seconds from construction and from interpreter start to the first evaluation."""
    script = [sys.executable, "-c", FIRST_EVALUATION, str(folder), sandbox]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    from_construction, from_start = map(float, done.stdout.split())
    return from_construction, from_start


def real_run(folder: Path, sandbox: str) -> tuple[float]:
    """CPU seconds of `breeder run` until its first evaluation is committed."""
    with tempfile.TemporaryDirectory() as parent:
        flags = ["--out", f"{parent}/run", "--evaluations", "1", "--sandbox", sandbox, "--json"]
        script = [sys.executable, "-c", REAL_RUN, "run", str(folder), *flags]
        done = subprocess.run(script, check=True, capture_output=True, text=True)
    return (float(done.stderr.split()[-1]),)


def repeat(times: int, measure: Callable[[], tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Run a measurement several times and return its columns."""
    return list(zip(*(measure() for _ in range(times)), strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure breeder's start-up.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sandbox", choices=("bubblewrap", "none"), default="bubblewrap")
    options = parser.parse_args()
    print(header(f"Start-up, sandbox {options.sandbox}"))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "start-up"
        scaffold.new(folder)
        help_command = [str(Path(sys.executable).with_name("breeder")), "--help"]
        wall, cpu = repeat(options.repeats, lambda: command(help_command))
        construction, start = repeat(
            options.repeats, lambda: first_evaluation(folder, options.sandbox)
        )
        (real,) = repeat(options.repeats, lambda: real_run(folder, options.sandbox))
    rows = [
        ("`breeder --help`, wall", 0.3, wall),
        ("`breeder --help`, CPU", None, cpu),
        ("`breeder run`, CPU until its first evaluation is committed", 1.0, real),
        ("evaluator and sandbox alone, CPU from construction of the executor", None, construction),
        ("evaluator and sandbox alone, CPU from interpreter start", None, start),
    ]
    print(
        table(
            ["what", "bar, s", "measured, s: median [95 % interval]"],
            [(label, bar or "", interval(values, middle=True)) for label, bar, values in rows],
        )
    )


if __name__ == "__main__":
    main()
