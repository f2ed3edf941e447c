"""Held-out speed-up of a tiling heuristic beside the fixed default, the best setting, the oracle.

Usage: python benchmarks/matmul_tiling.py [PROGRAM]

PROGRAM is a program file or the folder of an exported champion; without it the task's start is
measured. The program runs in the sandbox. All choices are timed interleaved, on fresh rounds; the
settings of the baselines are searched for first when this machine has not done so (a CPU minute).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from breeder.admission import program_id
from breeder.core import Evaluation, Program
from breeder.errors import BreederError, UserError
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.task import Task
from breeder.task_formats import load
from record import header

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


def main() -> None:
    """Print the table, or one line on what is wrong."""
    task = load(TASK)
    try:
        candidate = program(task, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
        result = asyncio.run(held_out(task, candidate))
    except BreederError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    if result.failure is not None:
        sys.exit(f"the program failed: {result.failure}")
    print(header(f"{TASK}, held-out shapes, one thread, CPU time"))
    print(result.artifacts["choices"], "\n")
    print(result.artifacts["held-out shapes"])
    print(f"\n{result.cost.cpu_seconds:.0f} CPU s, {result.cost.wall_seconds:.0f} s")


if __name__ == "__main__":
    main()
