"""Matched baselines: what plain methods reach with the CPU time that the search used.

* `random search`: the same tree edits, always applied to the start, nothing learned.
* `tuned start`: CMA-ES on the constants of the start alone, its structure untouched.
* `repeated start`: only for tasks that carry a construction: the start again and again with new
  seeds, each time from the best construction so far.
* `best of N`: only for runs with language models: they are always shown the start, with as many
  tokens and as much money as the search used; the best of their programs counts.

Each is a run of its own in `RUN/baselines/NAME`, with its own store; the main one keeps a summary.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from breeder.admission import Admission
from breeder.archive.archive import CellView, Parents
from breeder.archive.confirmed import confirmed_row
from breeder.archive.store import FILE_NAME, BaselineRecord, EvaluationRecord, RunRecord, Store
from breeder.assembly import grammar_of
from breeder.config import BudgetConfig, RunConfig
from breeder.core import Budget, Cost, Elite, Placement
from breeder.engine import Engine
from breeder.executors.executor import Job
from breeder.ledger import Ledger
from breeder.progress import Parts, Progress, Settings
from breeder.proposers.llm.record import read_record
from breeder.proposers.llm.team import Team
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal, Proposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.proposers.tuning import TuningProposer

BEST_OF = "best of N"
START_SECONDS = 2.0  # CPU time of a sitting that finds nothing to do, with room


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

    def revise(self, program_id: str, elite: Elite | None) -> None:
        """Put right what is known of the start or of the best; who was best before is forgotten."""
        if self._start is not None and program_id == self._start.program.id and elite is not None:
            self._start = elite
        if self._best is not None and program_id == self._best.program.id:
            self._best = elite or self._start
        if self._start is not None and self._best is not None:
            self._best = max(self._start, self._best, key=lambda one: one.fitness)

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


class MatchedWatch(NamedTuple):
    """Who is told of a baseline's progress, and who may halt it.

    Attributes:
        on_change: called as by an engine.
        halted: whether to stop after the evaluations under way.
    """

    on_change: Callable[[Engine], None]
    halted: Callable[[], bool]

    def changed(self, engine: Engine) -> None:
        """Pass a change on; stop the engine when asked to."""
        if self.halted():
            engine.stop("stopped by a signal")
        self.on_change(engine)


def matched_methods(*, carries: bool, models: bool = False) -> tuple[Matched, ...]:
    """The baselines that apply.

    Args:
        carries: the task hands constructions from program to program.
        models: the run has language models.
    """
    methods: tuple[Matched, ...] = (
        Matched("random search", lambda grammar: Unlearning(SyntaxProposer(grammar))),
        Matched("tuned start", TuningProposer),
    )
    if carries:
        methods = (*methods, Matched("repeated start", None))
    return (*methods, Matched(BEST_OF, None)) if models else methods


def matched_budget(cost: Cost, method: Matched) -> Budget:
    """What a baseline may spend: CPU time as the search, models as much as the search's.

    Args:
        cost: what the search had used when it ended.
        method: the baseline.
    """
    if method.name != BEST_OF:
        return Budget(cpu_seconds=cost.cpu_seconds)
    return Budget(
        cpu_seconds=cost.cpu_seconds, tokens=cost.tokens or None, currency=cost.currency or None
    )


async def run_matched(
    method: Matched,
    main: Parts,
    folder: Path,
    *,
    cost: Cost,
    settings: Settings,
    watch: MatchedWatch,
    team: Team | None = None,
) -> Parts:
    """Run one baseline with the CPU seconds that the main search used.

    That is `cost`, taken when the search ended: the ledger of the main run goes on counting what
    the engine's process does for held-out data and for the baselines.

    One that was finished before is taken as it is, unless the search has been given much more
    time since; one that was cut off starts over, so that what it spent can be told.

    Returns:
        The baseline's parts, its store open; the store's status is `stopped` when it was halted.
    """
    path = folder / "baselines" / method.name.replace(" ", "-")
    store = _finished(path, cost.cpu_seconds)
    done = store is not None
    if store is None:
        shutil.rmtree(path, ignore_errors=True)
        store = Store.create(path, _record(main, method.name, cost.cpu_seconds))
    ledger = Ledger(matched_budget(cost, method), main.ledger.clock)
    grammar = grammar_of(main.task)
    own = team.proposers if team is not None else [(method.proposer or TuningProposer)(grammar)]
    admission = Admission(main.task.files, grammar, source_kib=main.task.file.limits.source_kib)
    parts = Parts(
        main.task, StartArchive(), Mixture(own), admission, main.executor, store, ledger, team
    )
    if done:
        return parts
    if method.proposer is None and team is None:
        reason = await _repeat_start(parts, settings, watch)
    else:
        reason = await Engine(parts, settings, on_change=watch.changed).run()
    if team is not None:
        await team.halt()
    store.update_run(
        status="stopped" if watch.halted() else "finished",
        detail=reason,
        finished_at=None,
        elapsed=ledger.elapsed(),
        engine_cpu=ledger.engine_cpu(),
    )
    return parts


def summarise_matched(name: str, parts: Parts, main: Store) -> None:
    """Copy a baseline's best result, search and held-out, into the main store."""
    store = parts.store
    # Where a measured task confirmed nobody, the method came no further than the start.
    champion = confirmed_row(store, store.champion() or store.start())
    if champion is None:
        return
    cpu_seconds = _evaluated(store) + store.run().engine_cpu
    evaluations = store.counts()["evaluations"]
    rows = {"search": champion, "held_out": store.held_out(champion.program_id)}
    for split, row in rows.items():
        if row is not None and row.evaluation.failure is None:
            main.save_baseline(
                BaselineRecord(
                    name,
                    "matched",
                    split,
                    row.evaluation.metrics,
                    row.fitness,
                    cpu_seconds=cpu_seconds,
                    evaluations=evaluations,
                )
            )


async def _repeat_start(parts: Parts, settings: Settings, watch: MatchedWatch) -> str:
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
        while not parts.ledger.exhausted() and not watch.halted():
            await once()

    await asyncio.gather(*(slot() for _ in range(parts.executor.slots)))
    limit = parts.ledger.exhausted()
    return f"budget used: {limit.replace('_', ' ')}" if limit else "stopped by a signal"


def _finished(path: Path, cpu_seconds: float) -> Store | None:
    """The store of a baseline that was run to its end with about `cpu_seconds`, else None."""
    if not (path / FILE_NAME).is_file():
        return None
    store = Store.open(path)
    record = store.run()
    spent = _evaluated(store) + record.engine_cpu
    used_up = record.detail in ("budget used: tokens", "budget used: currency")
    # Each sitting of the main run adds the CPU time of its own start to what is to be matched.
    enough = used_up or spent > 0.9 * cpu_seconds - START_SECONDS
    if record.status == "finished" and enough:
        return store
    store.close()
    return None


def _evaluated(store: Store) -> float:
    """CPU seconds of a run's evaluations, heats included, and of models on this machine."""
    costs = store.costs()
    team = read_record(store.state("models"))
    models = sum(model.cpu_seconds for model in team.models) if team else 0.0
    return costs["search"][0] + (costs["confirm"][0] if "confirm" in costs else 0.0) + models


def _record(main: Parts, name: str, cpu_seconds: float) -> RunRecord:
    record = main.store.run()
    config = RunConfig.model_validate_json(record.config_json)
    config = config.model_copy(update={"budget": BudgetConfig(cpu_seconds=cpu_seconds)})
    return RunRecord(
        breeder_version=record.breeder_version,
        task_name=f"{record.task_name} ({name})",
        task_kind=record.task_kind,
        task_folder=record.task_folder,
        task_digest=record.task_digest,
        task_json=record.task_json,
        config_json=config.model_dump_json(),
        sandbox=record.sandbox,
        trusted=record.trusted,
        machine_json=record.machine_json,
        started_at=record.started_at,
    )
