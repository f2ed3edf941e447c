"""Noise run: candidates that behave like the start, truly measured; is any of them crowned?

    python benchmarks/noise_run.py [--candidates 500] [--seed 1] [--slots 2]

Every candidate is the start of the matmul tiling task with an unused constant of its own. The task
is used as it ships, but for its search stage: there equal work counts as exactly 1 and rounds are
remembered, so that no noise would be left. The variant times every candidate on fresh operands and
rounds. Bar: the run ends without a champion.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from breeder import __version__
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
from breeder.task import Task
from record import header, table
from tiling_variant import write_variant

EVALUATOR = '''"""The tiling task with a search stage that remembers nothing."""

from tiling_task import afresh, confirm, quick, verify
from tiling_trials import Length

from breeder.evaluation import Result


def evaluate(candidate):
    """Six rounds of one pair on fresh operands; the features of the archive are not looked at."""
    result = afresh(candidate, Length(pairs=1, least=6, most=6))
    metrics = {**result.metrics, "decode_speedup": 1.0, "large_speedup": 1.0}
    return Result(metrics, intervals=result.intervals)
'''
ANCHOR = "    nc = 2048\n"


def script(task: Task, candidates: int) -> ScriptedProposer:
    """Offers the start with one unused constant after the other."""
    (name,) = task.files
    start = task.files[name]
    assert start.count(ANCHOR) == 1, "the start has changed"

    def program(number: int) -> dict[str, str] | None:
        unused = f"{ANCHOR}    unused = {number + 1}\n"
        return {name: start.replace(ANCHOR, unused)} if number < candidates else None

    return ScriptedProposer(program)


def record(task: Task, config: RunConfig) -> RunRecord:
    """What the store must know of the run."""
    return RunRecord(
        breeder_version=__version__,
        task_name=task.name,
        task_kind=task.kind,
        task_folder=str(task.folder),
        task_digest=task.digest(),
        task_json=task.file.model_dump_json(),
        config_json=config.model_dump_json(),
        sandbox=config.sandbox,
        trusted=task.trusted,
        machine_json="{}",
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


async def run(task: Task, folder: Path, *, candidates: int, seed: int, slots: int) -> None:
    """Evaluate the start and every candidate."""
    config = RunConfig(seed=seed, slots=slots)
    executor = LocalExecutor(task, slots=slots)
    store = Store.create(folder, record(task, config))
    parts = Parts(
        task,
        new_archive(task, config),
        Mixture([script(task, candidates)]),
        Admission(task.files, grammar_of(task), source_kib=task.file.limits.source_kib),
        executor,
        store,
        Ledger(Budget(evaluations=candidates + 1), SystemClock()),
    )
    try:
        await executor.start()
        await Engine(parts, Settings(seed=seed)).run()
    finally:
        await executor.close()
        store.close()


def main() -> None:
    """Run and print who was crowned."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        task = write_variant(Path(parent) / "task", EVALUATOR)
        place = Path(parent) / "run"
        asyncio.run(
            run(
                task,
                place,
                candidates=options.candidates,
                seed=options.seed,
                slots=options.slots,
            )
        )
        with Store.open(place, readonly=True) as store:
            rows = summary(store)
    print(header("Noise run: candidates identical in behaviour to the start"))
    print(table(("what", "value"), rows))


def summary(store: Store) -> list[tuple[str, object]]:
    """Rows of the table."""
    counts, costs = store.counts(), store.costs()
    scores = [row.fitness for row in store.evaluations() if row.fitness is not None]
    challenges = [c for c in store.challenges() if c.number]
    outcomes = Counter(c.outcome.value for c in challenges)
    cpu = {split: costs[split][0] if split in costs else 0.0 for split in ("search", "confirm")}
    champion = store.champion()
    return [
        ("champion (bar: none)", "none" if champion is None else champion.program_id),
        ("candidates evaluated", counts["evaluations"] - 1),
        ("of them failed", counts["evaluations"] - counts["succeeded"]),
        ("search scores, least to greatest", f"{min(scores):.4f} .. {max(scores):.4f}"),
        ("challengers", len(challenges)),
        *((f"challenges {name}", count) for name, count in sorted(outcomes.items())),
        *((f"CPU seconds, {split}", f"{value:.0f}") for split, value in cpu.items()),
        ("share of CPU for confirming", f"{cpu['confirm'] / max(sum(cpu.values()), 1e-9):.1%}"),
    ]


if __name__ == "__main__":
    main()
