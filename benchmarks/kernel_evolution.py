"""What the engine makes of textbook kernels by itself, and what plain random search makes of them.

    python benchmarks/kernel_evolution.py [TASK ...] [--cpu-seconds 60] [--seed 1] [--folder PATH]
        [--baselines]

One run per task, without models, as kernel_evolution.toml says; a run that is in the folder is not
made again, an unfinished one goes on. Then the champion, that of random search over the same edits
at equal CPU time (`--baselines`) and, where there is one, the kernel written by hand are timed
beside the start on held-out shapes, in the sandbox. The last column is the share of the gain of the
kernel written by hand that the engine found, on a log scale. A task without a confirmed champion
counts as 1x and is listed.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import breeder
from breeder.core import Program
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.kernels.known import program_by_hand
from breeder.task import Task, load_native
from record import header, table

PACKAGE = Path(breeder.__file__).parent
SUITE = PACKAGE / "suites" / "kernels"
CONFIG = Path(__file__).with_suffix(".toml")
RANDOM = "random search"
TASKS = (
    "flash_attention_forward", "softmax", "layernorm", "rmsnorm", "rmsnorm_backward",
    "cross_entropy", "swiglu", "rope", "embedding_backward", "adamw", "int8_gemv", "int4_gemv",
)  # fmt: skip


class Gain(NamedTuple):
    """Time of the start over time of a program, with its interval."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f}x [{self.low:.2f}, {self.high:.2f}]"


async def held_out(task: Task, files: Mapping[str, str]) -> Gain | str:
    """Time a program on held-out shapes; or say how it fails."""
    executor = LocalExecutor(task, slots=1)
    try:
        await executor.start()
        job = Job(Program("program", dict(files)), "held_out", None, random.getrandbits(62))
        evaluation = await executor.evaluate(job)
    finally:
        await executor.close()
    if evaluation.failure is not None:
        return f"fails: {evaluation.failure.kind}"
    return Gain(evaluation.metrics["speedup"], *evaluation.intervals["speedup"])


def run(name: str, options: argparse.Namespace) -> breeder.RunResult:
    """The run of a task: the one in the folder, continued where it ended early, or a new one."""
    out = Path(options.folder) / f"{name}_{options.seed}"
    if not (out / "run.db").is_file():
        settings = {"baselines": (RANDOM,)} if options.baselines else {}
        return breeder.run(
            f"kernels/{name}", budget={"cpu_seconds": options.cpu_seconds}, seed=options.seed,
            slots=1, out=out, config=CONFIG, settings=settings,
        )  # fmt: skip
    result = breeder.RunResult.of(out)
    return result if result.status == "finished" else breeder.resume(out)


def measured(name: str, options: argparse.Namespace) -> list[str]:
    """The row of a task."""
    result = run(name, options)
    task = load_native(SUITE / name)
    found = asyncio.run(held_out(task, result.files)) if result.improved else Gain(1, 1, 1)
    plain: Gain | str = "-"
    baseline = result.path / "baselines" / RANDOM.replace(" ", "-")
    if baseline.is_dir():
        other = breeder.RunResult.of(baseline)
        plain = asyncio.run(held_out(task, other.files)) if other.improved else "nothing"
    known: Gain | str = "-"
    source = program_by_hand(name)
    if source is not None:
        known = asyncio.run(held_out(task, {task.file.program.files[0]: source}))
    share = "-"
    if isinstance(found, Gain) and isinstance(known, Gain):
        share = f"{math.log(found.ratio) / math.log(known.ratio):.0%}"
    best = str(found) if result.improved else "nothing confirmed"
    return [name, str(result.evaluations), best, str(plain), str(known), share]


def main() -> None:
    """Run, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", default=TASKS, metavar="TASK")
    parser.add_argument("--cpu-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default="runs/kernel_evolution")
    parser.add_argument("--baselines", action="store_true")
    options = parser.parse_args()
    unknown = [name for name in options.tasks if not (SUITE / name / "initial.cpp").is_file()]
    if unknown:
        raise SystemExit(f"{unknown[0]}: no kernel task; there are {', '.join(TASKS)}")
    rows = []
    for name in options.tasks:
        rows.append(measured(name, options))
        print(" | ".join(rows[-1]), flush=True)
    print(header(f"Kernels from textbook starts, {options.cpu_seconds:.0f} CPU-seconds each"))
    heads = ["task", "evaluations", "engine", RANDOM, "by hand", "share of its gain"]
    print(table(heads, rows))


if __name__ == "__main__":
    main()
