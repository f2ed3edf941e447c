"""The library: run a task, or optimise a function, from Python. Nothing is printed.

The names of this module are exported by `breeder` itself, lazily.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from breeder.archive.store import Store
from breeder.config import RunConfig, extended, load_config, model_entry
from breeder.core import Budget
from breeder.engine import Engine
from breeder.errors import ConfigError, RunError, UserError
from breeder.foreign_models import with_task_models
from breeder.machine import cores
from breeder.made_task import MadeTask
from breeder.model_specs import with_models
from breeder.proposers.llm.ensemble import Seat
from breeder.proposers.llm.member import MemberSettings
from breeder.proposers.llm.model import LanguageModel
from breeder.proposers.llm.settings import ModelConfig
from breeder.report.runs import new_folder
from breeder.result import RunResult
from breeder.runner import Ending, Run, Watch
from breeder.task import Task
from breeder.task_formats import load

__all__ = [
    "Budget",
    "ModelLike",
    "RunOptions",
    "RunResult",
    "Standing",
    "TaskOptions",
    "optimize",
    "optimize_async",
    "resume",
    "resume_async",
    "run",
    "run_async",
]

ModelLike = str | Mapping[str, Any] | ModelConfig | LanguageModel | Seat
"""A spec as for `--model`, a `[[model]]` entry, an object of one's own, or that with settings."""

BudgetLike = Budget | Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands, as told to `on_change`.

    Attributes:
        evaluations: of the search so far, the start included.
        metrics: of the champion; empty before the start was evaluated.
        seconds: wall time of searching.
        stop: call it with a reason to end the run after the evaluations under way.
    """

    evaluations: int
    metrics: Mapping[str, float]
    seconds: float
    stop: Callable[[str], None]


class RunOptions(TypedDict, total=False):
    """What a run can be told; everything may be left out.

    Attributes:
        models: language models that propose.
        budget: when to stop; the task's own budget, else ten minutes, if left out.
        out: the run's directory, new or empty; `runs/TASK-001` and so on by default.
        seed: of every random choice, default 0.
        slots: evaluations side by side, one per core by default.
        proposers: of `syntax`, `tuning`, `recombination`; all by default.
        on_change: told where the run stands, several times a second at most.
        key_env: environment variable with the key for models given as `MODEL@ADDRESS`.
        config: a TOML file as for `--config`; what is given here wins over it.
        settings: dotted key of that file -> value, such as `{"search.islands": 4}`.
    """

    models: Sequence[ModelLike]
    budget: BudgetLike
    out: str | Path | None
    seed: int | None
    slots: int | None
    proposers: Sequence[str] | None
    on_change: Callable[[Standing], None] | None
    key_env: str
    config: str | Path | None
    settings: Mapping[str, Any]


class TaskOptions(RunOptions, total=False):
    """What `optimize` can be told beside the options of a run; see `made_task.MadeTask`."""

    objectives: Mapping[str, str]
    held_out: bool | Callable[..., Any]
    limits: Mapping[str, float]
    name: str


def run(task: str | Path, **options: Unpack[RunOptions]) -> RunResult:
    """Evolve a task's program and say what came of it.

    In the main thread Ctrl-C stops the run after the evaluations under way (twice: at once), then
    raises KeyboardInterrupt; `resume` goes on.

    Args:
        task: a task folder, or the name of a shipped task.
        **options: see `RunOptions`.

    Raises:
        BreederError: see `errors`; the same as on the command line, one clear line each.
        KeyboardInterrupt: stopped by a signal.
    """
    return _block(_start(load(task), options, signals=_main_thread()))


async def run_async(task: str | Path, **options: Unpack[RunOptions]) -> RunResult:
    """As `run`, inside an event loop. Cancelling it stops the run; signals are left alone."""
    return await _start(load(task), options, signals=False)


def optimize(
    program: str | Callable[..., Any],
    evaluate: str | Callable[..., Any],
    goal: str = "",
    **options: Unpack[TaskOptions],
) -> RunResult:
    """Evolve a function, or the text of a program, against an evaluator.

    The evaluator is trusted and runs in a process of its own; the program runs in a sandbox and is
    asked for data through `candidate.call(name, ...)`. So both are written down as text, with what
    they use, see `capture.capture`, in a task folder inside the run's directory.

    Args:
        program: the function, or the text.
        evaluate: `evaluate(candidate) -> metrics`.
        goal: what is wanted; language models read it.
        **options: see `TaskOptions` and `RunOptions`.

    Raises:
        BreederError: as `run`; a UserError where a function cannot be written down.
        KeyboardInterrupt: stopped by a signal.
    """
    return _block(_make(program, evaluate, goal, options, signals=_main_thread()))


async def optimize_async(
    program: str | Callable[..., Any],
    evaluate: str | Callable[..., Any],
    goal: str = "",
    **options: Unpack[TaskOptions],
) -> RunResult:
    """As `optimize`, inside an event loop. Cancelling it stops the run."""
    return await _make(program, evaluate, goal, options, signals=False)


def resume(
    path: str | Path,
    *,
    budget: BudgetLike | None = None,
    models: Sequence[LanguageModel | Seat] = (),
    on_change: Callable[[Standing], None] | None = None,
) -> RunResult:
    """Go on with a run that was stopped or killed, or give a finished one more.

    Args:
        path: the run's directory.
        budget: limits that replace the run's own; each must be above it.
        models: objects that propose. A store remembers entries and specs, objects it cannot.
        on_change: as for `run`.

    Raises:
        BreederError: as `run`.
        KeyboardInterrupt: stopped by a signal.
    """
    return _block(_resume(Path(path), budget, models, _watch(on_change, signals=_main_thread())))


async def resume_async(
    path: str | Path,
    *,
    budget: BudgetLike | None = None,
    models: Sequence[LanguageModel | Seat] = (),
    on_change: Callable[[Standing], None] | None = None,
) -> RunResult:
    """As `resume`, inside an event loop."""
    return await _resume(Path(path), budget, models, _watch(on_change, signals=False))


def configured(task: Task, options: Mapping[str, Any]) -> tuple[RunConfig, list[Seat]]:
    """The configuration that options amount to, and the models that are objects.

    Args:
        task: the task, whose folder may name models.
        options: see `RunOptions`.

    Raises:
        ConfigError: an option is wrong; one line.
    """
    entries, specs, seats = _sorted_models(options.get("models") or ())
    overrides: dict[str, Any] = {
        **(options.get("settings") or {}),
        **{f"budget.{key}": value for key, value in _limits(options.get("budget")).items()},
        "seed": options.get("seed"),
        "slots": options.get("slots"),
        "search.proposers": None
        if options.get("proposers") is None
        else tuple(options["proposers"]),
    }
    file = options.get("config")
    path = None if file is None else Path(file)
    config = load_config(path, overrides, defaults={"slots": cores()})
    names = [one.name for one in (*config.model, *entries)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"models: the name {twice[0]!r} is given twice")
    config = config.model_copy(update={"model": (*config.model, *entries)})
    config, specs = with_task_models(config, task, specs)
    return with_models(config, specs, key_env=options.get("key_env") or ""), seats


def _sorted_models(
    models: Sequence[ModelLike],
) -> tuple[list[ModelConfig], list[str], list[Seat]]:
    """Entries, specs (those of the entries among them) and objects."""
    if isinstance(models, str | Mapping):
        raise ConfigError("models: must be a list")
    entries: list[ModelConfig] = []
    specs: list[str] = []
    seats: list[Seat] = []
    for model in models:
        if isinstance(model, str):
            specs.append(model)
        elif isinstance(model, ModelConfig | Mapping):
            entries.append(model if isinstance(model, ModelConfig) else model_entry(model))
            specs.append(entries[-1].name)
        elif isinstance(model, tuple):
            seats.append(model)
        elif callable(getattr(model, "sample", None)):
            seats.append((model, MemberSettings()))
        else:
            raise ConfigError(
                f"models: {type(model).__name__} is no model: neither a spec, nor an entry, nor "
                "an object with name, role, sample and close"
            )
    return entries, specs, seats


def _limits(budget: BudgetLike | None) -> dict[str, float | int | None]:
    if budget is None:
        return {}
    return asdict(budget) if isinstance(budget, Budget) else dict(budget)


async def _start(task: Task, options: Mapping[str, Any], *, signals: bool) -> RunResult:
    config, seats = configured(task, options)
    folder = Path(options.get("out") or new_folder(task.name))
    watch = _watch(options.get("on_change"), signals=signals)
    return await _sit(Run(task, config, folder, watch=watch, seats=seats).start(), folder)


async def _make(
    program: str | Callable[..., Any],
    evaluate: str | Callable[..., Any],
    goal: str,
    options: TaskOptions,
    *,
    signals: bool,
) -> RunResult:
    own = {key: value for key, value in options.items() if key in TaskOptions.__annotations__}
    rest = {key: own.pop(key) for key in list(own) if key in RunOptions.__annotations__}
    made = MadeTask(program, evaluate, goal, **own)  # type: ignore[arg-type]
    folder = Path(options.get("out") or new_folder(made.title))
    return await _start(load(made.write(folder)), {**rest, "out": folder}, signals=signals)


async def _resume(
    path: Path, budget: BudgetLike | None, models: Sequence[LanguageModel | Seat], watch: Watch
) -> RunResult:
    entries, specs, seats = _sorted_models(models)
    if entries or specs:
        raise ConfigError("models: a resumed run keeps its entries; only objects can be given")
    with closing(Store.open(path, readonly=True)) as store:
        record = store.run()
    config = extended(RunConfig.model_validate_json(record.config_json), _limits(budget))
    if not Path(record.task_folder).is_dir():
        raise RunError(f"{path}: its task folder {record.task_folder} is gone; put it back")
    sitting = Run(load(record.task_folder), config, path, watch=watch, seats=seats)
    return await _sit(sitting.resume(), path)


async def _sit(sitting: Coroutine[Any, Any, Ending], folder: Path) -> RunResult:
    ending = await sitting
    if ending.status == "stopped":
        # By a signal or because this was cancelled; either way the caller is to know.
        raise asyncio.CancelledError(ending.reason)
    return RunResult.of(folder)


def _block(coroutine: Coroutine[Any, Any, RunResult]) -> RunResult:
    """Run to the end from code that is not asynchronous."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        coroutine.close()
        raise UserError("an event loop is running already; write `await breeder.run_async(...)`")
    try:
        return asyncio.run(coroutine)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _watch(on_change: Callable[[Standing], None] | None, *, signals: bool) -> Watch:
    if on_change is None:
        return Watch(signals=signals)
    tell = on_change

    def changed(engine: Engine) -> None:
        champion, ledger = engine.progress.champion, engine.parts.ledger
        metrics = champion.evaluation.metrics if champion is not None else {}
        tell(Standing(ledger.evaluations, metrics, ledger.elapsed(), engine.stop))

    return Watch(on_change=changed, signals=signals)


def _main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
