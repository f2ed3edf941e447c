"""Evaluate the program of an exported folder again and compare it with the stored figures.

Lies in every exported folder as `reproduce.py`. It needs an installed breeder, but no store:

    python reproduce.py [--tolerance 0.05] [--sandbox none]

Exit codes: 0 when every objective is at least as good as stored, within the tolerance; 1 when one
is not, or the program fails; 2 when it cannot be evaluated here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from breeder.core import Evaluation, Objective, Program
from breeder.errors import BreederError
from breeder.executors.executor import Executor, Job
from breeder.executors.local import LocalExecutor
from breeder.task import Task
from breeder.task_formats import load

EXACT = 1e-9
"""Relative tolerance by default: equal but for the last digits of floating point."""


async def evaluate_again(
    executor: Executor, task: Task, stored: Mapping[str, Any], construction: bytes | None
) -> dict[str, Evaluation]:
    """Evaluate the task's program on every split that was stored; return split -> evaluation.

    The search split gets a construction only when the task carries one; held-out evaluations
    always get the program's own, as in a run.
    """
    carries = task.file.construction is not None and task.file.construction.carry
    program = Program(stored["program"]["id"], task.files)
    found: dict[str, Evaluation] = {}
    await executor.start()
    try:
        seed = stored["search"]["seed"]
        handed = construction if carries else None
        found["search"] = await executor.evaluate(Job(program, "search", handed, seed))
        if stored["held_out"] is not None:
            seed = stored["held_out"]["seed"]
            job = Job(program, "held_out", construction, seed)
            found["held_out"] = await executor.evaluate(job)
    finally:
        await executor.close()
    return found


def verdict(objective: Objective | None, before: float, now: float, tolerance: float) -> str:
    """Return `same`, `better` or `worse`; `differs` for a metric that is no objective."""
    if abs(now - before) <= tolerance * max(abs(before), abs(now)):
        return "same"
    if objective is None:
        return "differs"
    return "better" if objective.direction.sign * (now - before) > 0 else "worse"


def overlap(before: tuple[float, float] | None, now: tuple[float, float] | None) -> bool:
    """Whether two intervals of a measured metric share a value; False where one is missing."""
    return before is not None and now is not None and before[0] <= now[1] and now[0] <= before[1]


def compare(
    task: Task, split: str, stored: Mapping[str, Any], now: Evaluation, tolerance: float
) -> Iterator[tuple[bool, str]]:
    """Yield for each stored metric whether it holds, and a line that says so."""
    if now.failure is not None:
        yield stored["failure"] is not None, f"{split}: the program fails: {now.failure}"
        return
    objectives = {objective.name: objective for objective in task.objectives}
    for name, before in stored["metrics"].items():
        value = now.metrics.get(name)
        objective = objectives.get(name)
        if value is None:
            yield objective is None, f"{split:<9} {name:<24} {before:>16.8g} {'missing':>16}"
            continue
        words = verdict(objective, before, value, tolerance)
        ends = stored.get("intervals", {}).get(name), now.intervals.get(name)
        if overlap(*ends):
            words = "same, intervals overlap"
        line = f"{split:<9} {name:<24} {before:>16.8g} {value:>16.8g}  {words}"
        yield objective is None or words != "worse", line


def main(arguments: list[str] | None = None, folder: Path | None = None) -> int:
    """Evaluate, print metric by metric, and return the exit code."""
    here = folder or Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Repeat the figures of this folder.")
    parser.add_argument("--tolerance", type=float, default=EXACT, help="relative, per metric")
    parser.add_argument("--sandbox", choices=("bubblewrap", "none"), default="bubblewrap")
    options = parser.parse_args(arguments)
    try:
        stored = json.loads((here / "evaluation.json").read_text(encoding="utf-8"))
        artefact = here / "construction.msgpack"
        construction = artefact.read_bytes() if artefact.is_file() else None
        task = load(here)
        executor = LocalExecutor(task, slots=1, sandbox=options.sandbox)
        found = asyncio.run(evaluate_again(executor, task, stored, construction))
    except (BreederError, OSError, ValueError) as error:
        sys.stderr.write(f"cannot be evaluated here: {error}\n")
        return 2
    results = [
        result
        for split, now in found.items()
        for result in compare(task, split, stored[split], now, options.tolerance)
    ]
    held = all(good for good, _ in results)
    lines = [f"{'data':<9} {'metric':<24} {'stored':>16} {'now':>16}", *(t for _, t in results)]
    lines.append("reproduced" if held else "NOT reproduced")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
