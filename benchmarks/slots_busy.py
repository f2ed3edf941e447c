"""Share of ideal throughput when proposing takes 1 s and evaluating takes 1 s, on 4 slots.

The evaluator sleeps in its own process, the proposer as a slow model would. Ideal is four
evaluations per second from the first proposal on; the ramp at the start (one proposer latency) and
the end are counted in the second column, which divides by the whole wall time of the search.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from breeder.admission import Admission
from breeder.archive.store import RunRecord, Store
from breeder.assembly import grammar_of, new_archive
from breeder.config import RunConfig
from breeder.core import Budget
from breeder.engine import Engine
from breeder.executors.local import LocalExecutor
from breeder.ledger import Ledger, SystemClock
from breeder.progress import Parts, Settings
from breeder.proposers.mixture import Mixture
from breeder.proposers.scripted import ScriptedProposer
from breeder.task_formats import load
from record import header, interval, table

SLOTS = 4
EVALUATE = """import time

def evaluate(candidate):
    time.sleep({seconds})
    return {{"score": float(len(candidate.files["initial.py"]))}}
"""


TASK = """
task = { name = "busy", goal = "Keep the slots busy." }
program = { files = ["initial.py"] }
objective = [{ name = "score", direction = "maximize" }]
"""


def write_task(folder: Path, seconds: float) -> None:
    """A task whose evaluator sleeps."""
    folder.mkdir()
    (folder / "task.toml").write_text(TASK)
    (folder / "initial.py").write_text("# EVOLVE-BLOCK-START\nx = 1\n# EVOLVE-BLOCK-END\n")
    (folder / "evaluate.py").write_text(EVALUATE.format(seconds=seconds))


async def measure(folder: Path, number: int, seconds: float, minutes: float) -> tuple[float, float]:
    """Return throughput over ideal in steady state, and over the whole run."""
    task = load(str(folder / "task"))
    name, text = next(iter(task.files.items()))
    script = ScriptedProposer(
        lambda n: {name: text.replace("# EVOLVE-BLOCK-END", f"step_{n} = {n}\n# EVOLVE-BLOCK-END")},
        latency=seconds,
    )
    executor = LocalExecutor(task, slots=SLOTS, sandbox="bubblewrap")
    grammar = grammar_of(task)
    store = Store.create(
        folder / f"run{number}",
        RunRecord("0", "busy", "breeder", "", "", "{}", "{}", "bubblewrap", True, "{}", ""),
    )
    parts = Parts(
        task,
        new_archive(task, RunConfig()),
        Mixture([script]),
        Admission(task.files, grammar, source_kib=256),
        executor,
        store,
        Ledger(Budget(minutes=minutes), SystemClock()),
    )
    finished: list[float] = []
    engine = Engine(parts, Settings(), on_change=lambda e: _note(e, finished))
    await executor.start()
    begin = time.monotonic()
    try:
        await engine.run()
    finally:
        await executor.close()
        store.close()
    wall = time.monotonic() - begin - seconds  # the start is evaluated alone, for one duration
    middle = [t for t in finished if begin + 5 * seconds <= t <= begin + minutes * 60]
    span = minutes * 60 - 5 * seconds
    return len(middle) * seconds / (SLOTS * span), (len(finished)) * seconds / (SLOTS * wall)


def _note(engine: Engine, finished: list[float]) -> None:
    if engine.parts.ledger.evaluations - 1 > len(finished):
        finished.append(time.monotonic())


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(header(f"Slots kept busy: proposing {seconds:g} s, evaluating {seconds:g} s, 4 slots"))
    steady, whole = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_task(folder / "task", seconds)
        for number in range(3):
            a, b = asyncio.run(measure(folder, number, seconds, 60 * seconds / 60))
            steady.append(100 * a)
            whole.append(100 * b)
    rows = [("breeder", interval(steady, ".1f"), interval(whole, ".1f"), "≥ 95")]
    print(table(("engine", "steady state, % of ideal", "whole run, % of ideal", "bar"), rows))


if __name__ == "__main__":
    main()
