"""Matched baselines: what plain methods reach with the CPU time that the search used.

* `random search`: the same tree edits, always applied to the start, nothing learned.
* `tuned start`: CMA-ES on the constants of the start alone, its structure untouched.
* `repeated start`: only for tasks that carry a construction: the start again and again with new
  seeds, each time from the best construction so far.

Each is a run of its own in `RUN/baselines/NAME`, with its own store; the main one keeps a summary.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from breeder.admission import Admission
from breeder.archive.archive import Archive, CellView, Parents
from breeder.archive.store import BaselineRecord, EvaluationRecord, RunRecord, Store
from breeder.core import Budget, Elite, Placement
from breeder.engine import Engine, Parts, Progress, Settings
from breeder.executors.executor import Job
from breeder.ledger import Ledger
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal, Proposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.proposers.tuning import TuningProposer


class StartArchive:
    """An archive that always draws the first elite: there is no selection. Remembers the best."""

    def __init__(self) -> None:
        self._start: Elite | None = None
        self._best: Elite | None = None

    def place(self, elite: Elite, island: int) -> Placement:
        """Keep the first elite as the parent of all and the best for the record."""
        if self._start is None or self._best is None:
            self._start = self._best = elite
            return Placement.NEW
        if elite.fitness > self._best.fitness:
            self._best = elite
            return Placement.IMPROVED
        return Placement.REJECTED

    def draw(self, rng: random.Random, *, inspirations: int = 3) -> Parents:
        """The start, without inspirations."""
        if self._start is None:
            raise LookupError("the archive is empty")
        return Parents(0, self._start, ())

    def best(self) -> Elite | None:
        """The best elite offered so far."""
        return self._best

    def front(self) -> tuple[Elite, ...]:
        """The best elite alone."""
        return (self._best,) if self._best else ()

    def cells(self) -> tuple[CellView, ...]:
        """The best elite in the only cell."""
        return tuple(CellView(0, (0,), elite) for elite in self.front())

    def __len__(self) -> int:
        return len(self.front())


class Unlearning:
    """A proposer that never hears what became of its proposals."""

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self.name = proposer.name

    async def propose(self, draw: Draw) -> Proposal | None:
        """Make one new program, or None."""
        return await self._proposer.propose(draw)

    def learn(self, outcome: Outcome) -> None:
        """Ignore the outcome."""

    def state(self) -> bytes:
        """Nothing to keep."""
        return b""

    def restore(self, state: bytes) -> None:
        """Nothing to take up."""


class Matched(NamedTuple):
    """How to run one matched baseline."""

    name: str
    proposer: Callable[[Grammar], Proposer] | None


def matched_methods(*, carries: bool) -> tuple[Matched, ...]:
    """The baselines that apply. `carries`: the task hands constructions from program to program."""
    methods = (
        Matched("random search", lambda grammar: Unlearning(SyntaxProposer(grammar))),
        Matched("tuned start", TuningProposer),
    )
    return (*methods, Matched("repeated start", None)) if carries else methods


async def run_matched(
    method: Matched,
    main: Parts,
    folder: Path,
    *,
    settings: Settings,
    grammar: Grammar,
    on_change: Callable[[Engine], None],
) -> tuple[Parts, bool]:
    """Run one baseline with the CPU seconds that the main search used.

    Returns:
        The baseline's parts, its store open, and whether it ran to its end just now (False: it
        had been run before).
    """
    cpu_seconds = main.ledger.search_cost().cpu_seconds
    path = folder / "baselines" / method.name.replace(" ", "-")
    done = (path / "run.db").is_file()
    store = Store.open(path) if done else Store.create(path, _record(main, method.name))
    ledger = Ledger(Budget(cpu_seconds=cpu_seconds), main.ledger.clock)
    proposer = (method.proposer or TuningProposer)(grammar)
    admission = Admission(main.task.files, grammar, source_kib=main.task.file.limits.source_kib)
    archive: Archive = StartArchive()
    parts = Parts(main.task, archive, Mixture([proposer]), admission, main.executor, store, ledger)
    if store.run().status == "finished":
        return parts, False
    engine = Engine(parts, settings, on_change=on_change)
    if method.proposer is None:
        reason = await _repeat_start(parts, settings)
    else:
        reason = await engine.run()
    store.update_run(
        status="finished",
        detail=reason,
        finished_at=None,
        elapsed=ledger.elapsed(),
        engine_cpu=ledger.engine_cpu(),
    )
    return parts, True


def summarise_matched(name: str, parts: Parts, main: Store) -> None:
    """Copy a baseline's best result, search and held-out, into the main store."""
    champion = parts.store.champion()
    if champion is None:
        return
    cost = parts.store.costs().get("search", (0.0, 0.0, 0, 0.0))
    evaluations = parts.store.counts()["evaluations"]
    rows = {"search": champion, "held_out": parts.store.held_out(champion.program_id)}
    for split, row in rows.items():
        if row is not None and row.evaluation.failure is None:
            main.save_baseline(
                BaselineRecord(
                    name,
                    "matched",
                    split,
                    row.evaluation.metrics,
                    row.fitness,
                    cpu_seconds=cost[0],
                    evaluations=evaluations,
                )
            )


async def _repeat_start(parts: Parts, settings: Settings) -> str:
    """Evaluate the start again and again with new seeds, carrying the best construction."""
    program = parts.admission.start(parts.task.files)
    rng = random.Random(f"{settings.seed}:repeat")
    progress = Progress()

    async def once() -> None:
        best = parts.archive.best()
        construction = best.evaluation.construction if best else None
        job = Job(program, construction=construction, seed=rng.randrange(2**31))
        evaluation = await parts.executor.evaluate(job)
        value = None if evaluation.failure else parts.task.fitness(evaluation.metrics)
        placement = Placement.REJECTED
        if value is not None:
            placement = parts.archive.place(Elite(program, evaluation, value), 0)
        parts.store.record(
            program,
            EvaluationRecord(
                program_id=program.id,
                evaluation=evaluation,
                draw=progress.draws,
                island=0,
                fitness=value,
                placement=placement,
                elapsed=parts.ledger.elapsed(),
            ),
        )
        progress.draws += 1
        parts.ledger.charge("search", evaluation.cost)
        parts.ledger.evaluations += 1

    async def slot() -> None:
        while not parts.ledger.exhausted():
            await once()

    await asyncio.gather(*(slot() for _ in range(parts.executor.slots)))
    return f"budget used: {parts.ledger.exhausted().replace('_', ' ')}"


def _record(main: Parts, name: str) -> RunRecord:
    record = main.store.run()
    return RunRecord(
        breeder_version=record.breeder_version,
        task_name=f"{record.task_name} ({name})",
        task_kind=record.task_kind,
        task_folder=record.task_folder,
        task_digest=record.task_digest,
        task_json=record.task_json,
        config_json=record.config_json,
        sandbox=record.sandbox,
        trusted=record.trusted,
        machine_json=record.machine_json,
        started_at=record.started_at,
    )
