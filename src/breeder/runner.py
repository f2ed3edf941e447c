"""Runner: puts an engine together for a task, runs it, and finishes what a run owes its user."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from breeder import __version__, machine
from breeder.admission import Admission
from breeder.archive.archive import Archive
from breeder.archive.replay import replay
from breeder.archive.store import RunRecord, Store
from breeder.assembly import (
    build_mixture,
    build_team,
    effective_budget,
    grammar_of,
    new_archive,
    open_seats,
)
from breeder.config import BudgetConfig, RunConfig
from breeder.core import Cost
from breeder.engine import Engine
from breeder.errors import BreederError, NothingAchievedError, RunError
from breeder.evaluation import sandboxes
from breeder.executors.executor import Executor
from breeder.executors.local import LocalExecutor
from breeder.held_out import evaluate_all_held_out, evaluate_held_out
from breeder.ledger import Clock, Ledger, SystemClock
from breeder.matched import (
    BEST_OF,
    Matched,
    MatchedWatch,
    matched_budget,
    matched_methods,
    run_matched,
    summarise_matched,
)
from breeder.progress import Parts, Progress, Settings, settle
from breeder.proposers.llm.ensemble import Ensemble, Seat
from breeder.proposers.llm.team import Team
from breeder.reachability import refuse_unreachable
from breeder.resumption import recall, spent
from breeder.task import Task


class Ending(NamedTuple):
    """How a run ended: `finished` or `stopped`, and why in words."""

    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what while a run goes on, and whether SIGINT and SIGTERM stop it gracefully.

    Signals can only be taken over in the main thread.
    """

    on_change: Callable[[Engine], None] = lambda engine: None
    on_phase: Callable[[str], None] = lambda phase: None
    signals: bool = True


class Run:
    """One sitting of a run: creates or resumes its store, searches, evaluates what is held out.

    Args:
        task: the task.
        config: the validated configuration.
        folder: the run's directory.
        clock: time source.
        watch: whom to tell.
        seats: language models that propose, beside those of the configuration.
    """

    def __init__(
        self,
        task: Task,
        config: RunConfig,
        folder: Path,
        *,
        clock: Clock | None = None,
        watch: Watch | None = None,
        seats: Sequence[Seat] = (),
    ) -> None:
        self.task, self.folder = task, folder
        self.clock = clock or SystemClock()
        self.watch = watch or Watch()
        self.budget = effective_budget(task, config)
        # The store keeps what was in force, whoever set it.
        budget = BudgetConfig.model_validate(asdict(self.budget))
        self.config = config.model_copy(update={"budget": budget})
        self.engine: Engine | None = None
        self._given = tuple(seats)
        self._seats: list[Seat] = []
        self._interrupts = 0
        self._warm = False
        self._books: tuple[float, float] | None = None

    async def start(self) -> Ending:
        """Begin a new run.

        Raises:
            RunError: the directory holds a run already, or files that are none of a run's.
            BreederError: see `errors`; the store says how the run ended.
        """
        _refuse_strangers(self.folder)
        await self._open_models()
        executor = await self._executor()  # before there is a folder: maybe nothing can run
        try:
            store = Store.create(self.folder, self._record())
        except BaseException:
            await executor.close()
            raise
        archive = new_archive(self.task, self.config)
        ledger = Ledger(self.budget, self.clock)
        return await self._sit(store, executor, archive, Progress(), ledger)

    def _record(self) -> RunRecord:
        description = sandboxes.describe(self.config.sandbox)
        return RunRecord(
            breeder_version=__version__,
            task_name=self.task.name,
            task_kind=self.task.kind,
            task_folder=str(self.task.folder),
            task_digest=self.task.digest(),
            task_json=self.task.file.model_dump_json(),
            config_json=self.config.model_dump_json(),
            sandbox=self.config.sandbox,
            trusted=self.task.trusted,
            machine_json=msgspec.json.encode(
                {**machine.describe(), "sandbox": description}
            ).decode(),
            started_at=_now(),
        )

    async def resume(self) -> Ending:
        """Go on with a run that was stopped or killed; the store says where it stands.

        Raises:
            RunError: no run there, or the task has changed since.
        """
        await self._open_models(resuming=True)
        store = Store.open(self.folder)
        try:
            ledger, progress, archive = self._recall(store)
            executor = await self._executor()
        except BaseException:
            store.close()
            raise
        return await self._sit(store, executor, archive, progress, ledger)

    def _recall(self, store: Store) -> tuple[Ledger, Progress, Archive]:
        """Fold the store into where the run stands."""
        record = store.run()
        if record.task_digest != self.task.digest():
            raise RunError(
                f"{self.folder}: the task in {record.task_folder} has changed since the run began; "
                "restore it or start a new run"
            )
        if record.config_json != self.config.model_dump_json():
            store.save_config(self.config.model_dump_json())
        archive = new_archive(self.task, self.config)
        replay(archive, store, merit_name=self.task.merit_name)
        elapsed, engine_cpu = spent(store)
        ledger = Ledger(self.budget, self.clock, elapsed=elapsed, engine_cpu=engine_cpu)
        return ledger, recall(store, ledger, self.task), archive

    async def _executor(self) -> LocalExecutor:
        self.watch.on_phase("starting the evaluator")
        executor = LocalExecutor(self.task, slots=self.config.slots, sandbox=self.config.sandbox)
        await executor.start()
        return executor

    async def _open_models(self, *, resuming: bool = False) -> None:
        """Open the models; what is wrong with them is said before anything is made or spent."""
        self._seats = [*open_seats(self.config), *self._given]
        Ensemble(self._seats, self.budget)
        if not resuming:  # an outage since the run began slows it and is no mistake
            await refuse_unreachable(self.config.endpoints())

    def _changed(self, engine: Engine) -> None:
        if not self._warm and "tuning" in self.config.search.proposers:
            # CMA-ES takes more than a second to import: do it while evaluations run.
            asyncio.get_running_loop().run_in_executor(None, importlib.import_module, "cma")
        self._warm = True
        self.watch.on_change(engine)

    def interrupt(self) -> None:
        """Once: finish what is in flight and stop. Twice: stop now."""
        self._interrupts += 1
        if self.engine is not None:
            self.engine.stop("stopped by a signal")
        if self._interrupts > 1:
            for task in asyncio.all_tasks():
                task.cancel()

    async def _sit(
        self,
        store: Store,
        executor: Executor,
        archive: Archive,
        progress: Progress,
        ledger: Ledger,
    ) -> Ending:
        team = build_team(self.task, self.config, self._seats, self.budget)
        names = self.config.search.proposers
        mixture = build_mixture(
            self.task,
            names,
            team=team,
            budget=self.budget,
            used=lambda: ledger.search_cost().cpu_seconds,
        )
        mixture.restore({key: store.state(key) for key in mixture.state()})
        if team is not None:
            _take_up(team, store, ledger)
        # A run that is over already asks nobody anything.
        asked = None if ledger.exhausted() else team
        if asked is not None:
            asked.warm()
        admission = self._admission(store)
        parts = Parts(self.task, archive, mixture, admission, executor, store, ledger, team)
        self.engine = Engine(
            parts, _settings(self.config), progress=progress, on_change=self._changed
        )
        ending = Ending("failed", "")
        try:
            with _signals(self.interrupt, taken=self.watch.signals):
                if asked is not None:
                    await asked.greet()
                ending = await self._search(executor, parts, progress)
            return ending
        except asyncio.CancelledError:
            ending = Ending("stopped", "stopped by a second signal; evaluations in flight dropped")
            return ending
        except BreederError as error:
            ending = Ending("failed", str(error))
            raise
        finally:
            if team is not None:
                await team.close()
            await executor.close()
            self._close(store, ending, ledger)

    def _admission(self, store: Store) -> Admission:
        """What refuses programs: the task's rules, and those that the store holds already."""
        return Admission(
            self.task.files,
            grammar_of(self.task),
            source_kib=self.task.file.limits.source_kib,
            seen=store.fingerprints(),
        )

    async def _search(self, executor: Executor, parts: Parts, progress: Progress) -> Ending:
        assert self.engine is not None
        self.watch.on_change(self.engine)
        self.watch.on_phase("searching")
        reason = await self.engine.run()
        if parts.team is not None:
            await parts.team.halt()
            settle(parts, progress)
        # What follows is no searching: a budget that is raised later must not count it.
        self._books = (parts.ledger.elapsed(), parts.ledger.engine_cpu())
        cost = parts.ledger.search_cost()
        if self._interrupts:
            return Ending("stopped", reason)
        if progress.succeeded == 0 and parts.ledger.evaluations > 1:
            raise NothingAchievedError(_nothing(progress))
        self.watch.on_phase("evaluating on held-out data")
        await evaluate_all_held_out(executor, parts)
        if self.config.baselines:
            await self._matched(executor, parts, cost)
        if self._interrupts:
            return Ending("stopped", "stopped by a signal; the search itself is finished")
        return Ending("finished", reason)

    async def _matched(self, executor: Executor, parts: Parts, cost: Cost) -> None:
        """Spend what the search used on plain methods, each, and keep what they reach."""
        carry = self.task.file.construction
        wanted = self.config.baselines
        carries, models = carry is not None and carry.carry, parts.team is not None
        for method in matched_methods(carries=carries, models=models):
            if self._interrupts or (isinstance(wanted, tuple) and method.name not in wanted):
                continue
            self.watch.on_phase(f"matched baseline: {method.name}")
            theirs = await run_matched(
                method,
                parts,
                self.folder,
                cost=cost,
                settings=Settings(self.config.seed, 0, None, self.config.search.ahead),
                watch=MatchedWatch(self.watch.on_change, lambda: self._interrupts > 0),
                team=self._best_of(method, cost),
            )
            try:
                if theirs.store.run().status != "finished":
                    continue
                champion = theirs.store.champion()
                if (
                    champion is not None
                    and self.task.file.held_out is not None
                    and theirs.store.held_out(champion.program_id) is None
                ):
                    await evaluate_held_out(executor, theirs, champion)
                summarise_matched(method.name, theirs, parts.store)
            finally:
                theirs.store.close()

    def _best_of(self, method: Matched, cost: Cost) -> Team | None:
        """The models again, with nothing learned, for the baseline that is theirs alone."""
        if method.name != BEST_OF:
            return None
        plain = {"meta_prompts": False, "reflection": False}
        search = self.config.search.model_copy(update=plain)
        config = self.config.model_copy(update={"search": search})
        return build_team(self.task, config, self._seats, matched_budget(cost, method))

    def _close(self, store: Store, ending: Ending, ledger: Ledger) -> None:
        elapsed, engine_cpu = self._books or (ledger.elapsed(), ledger.engine_cpu())
        try:
            store.update_run(
                status=ending.status,
                detail=ending.reason,
                finished_at=_now(),
                elapsed=elapsed,
                engine_cpu=engine_cpu,
            )
        finally:
            store.close()


def _take_up(team: Team, store: Store, ledger: Ledger) -> None:
    """Go on with what an earlier sitting learned and spent; keep in the store what is spent now."""
    team.ensemble.spending.seconds_left = ledger.seconds_left
    team.restore({key: store.state(key) for key in team.state()})
    team.ensemble.spending.on_settle = lambda: store.save_state(team.books())
    store.save_state(team.books())  # views show at once why a model is not asked


def _settings(config: RunConfig) -> Settings:
    search = config.search
    return Settings(config.seed, search.inspirations, search.plateau, search.ahead)


def _refuse_strangers(folder: Path) -> None:
    """A run is written into a folder of its own; its store says whether it holds one already."""
    if folder.is_dir():
        own = {name for name in os.listdir(folder) if name.startswith("run.")}
        if not own and any(folder.iterdir()):
            raise RunError(f"{folder}: holds files that are no run; name a new or empty folder")


def _nothing(progress: Progress) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in progress.failures.most_common(4))
    return f"nothing achieved: all {progress.failures.total()} candidates failed ({kinds})"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _signals(callback: Callable[[], None], *, taken: bool) -> Iterator[None]:
    """Route SIGINT and SIGTERM to a callback while the block runs, if they are to be taken over."""
    if not taken:
        yield
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, callback)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
