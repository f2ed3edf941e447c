"""The command line: parse, build, call. Heavy imports happen inside the commands."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Never

import typer

from breeder import (
    __version__,
    certifying,
    cli_ablate,
    cli_accelerate,
    cli_kernels,
    cli_models,
    cli_records,
    cli_train,
    cli_views,
)
from breeder.errors import BreederError, RunError
from breeder.options import (
    CpuSecondsOption,
    CurrencyOption,
    EvaluationsOption,
    JsonOption,
    KeyEnvOption,
    MinutesOption,
    ModelOption,
    RunArgument,
    SandboxOption,
    TokensOption,
    print_json,
    sandbox_kind,
)

if TYPE_CHECKING:
    from breeder.config import RunConfig
    from breeder.runner import Ending
    from breeder.task import Task

app = typer.Typer(
    name="breeder",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich would take a third of the time that help takes
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Evolve a program against an evaluator; believe nothing unmeasured.",
    epilog="Start with: breeder new my-task, breeder check my-task, breeder run my-task. "
    "Exit codes: 0 done, 1 nothing achieved, 2 a mistake to mend, 3 stopped by a signal.",
)

TaskArgument = Annotated[
    str, typer.Argument(help="A task folder, or the name of a shipped task.", metavar="TASK")
]
_INTERRUPTED = 130  # what typer turns a KeyboardInterrupt in a command into


def _print_version(*, value: bool) -> None:
    if value:
        typer.echo(f"breeder {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _print_version(value=value),
            is_eager=True,
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    """Evolve a program against an evaluator; believe nothing unmeasured."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def tasks(*, as_json: JsonOption = False) -> None:
    """List the tasks that ship with breeder."""
    from breeder.task_formats import shipped

    rows = [{"name": task.name, "goal": task.goal} for task in shipped()]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']:<28} {_first_sentence(row['goal'])}")


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="Where to write the task folder.", metavar="PATH")],
) -> None:
    """Write a small task folder that runs as it is."""
    from breeder import scaffold

    scaffold.new(path)
    typer.echo(f"wrote {path}; next: breeder check {path}")


@app.command()
def check(
    task: TaskArgument, *, sandbox: SandboxOption = None, as_json: JsonOption = False
) -> None:
    """Validate a task and run its initial program."""
    from breeder import checking

    def show(finding: checking.Finding) -> None:
        if not as_json:
            typer.echo(str(finding))

    report = checking.check_folder(task, sandbox_kind(sandbox), watch=show)
    if as_json:
        print_json(report.to_json())
    else:
        typer.echo(report.verdict())
    if not report.passed:
        raise typer.Exit(2)


@app.command()
def run(  # noqa: PLR0913 - one parameter per flag is what a command line is
    task: TaskArgument,
    *,
    out: Annotated[
        Path | None, typer.Option(help="The run's directory.  [default: runs/TASK-001, ...]")
    ] = None,
    minutes: MinutesOption = None,
    evaluations: EvaluationsOption = None,
    cpu_seconds: CpuSecondsOption = None,
    tokens: TokensOption = None,
    currency: CurrencyOption = None,
    plateau: Annotated[
        int | None, typer.Option(help="Stop after this many evaluations without improvement.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    slots: Annotated[
        int | None, typer.Option(help="Evaluations side by side.  [default: one per core]")
    ] = None,
    proposers: Annotated[
        str | None, typer.Option(help="Comma-separated: syntax,tuning,recombination.")
    ] = None,
    model: ModelOption = None,
    key_env: KeyEnvOption = "",
    config: Annotated[Path | None, typer.Option(help="A TOML file; flags win over it.")] = None,
    sandbox: SandboxOption = None,
    baselines: Annotated[
        bool | None,
        typer.Option("--baselines", help="Spend the same CPU time on plain methods as well."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evolve a task's program.

    Without any limit the task's own budget holds, else ten minutes. Ctrl-C once finishes what is
    being evaluated, twice stops now; `breeder resume` goes on.
    """
    from breeder.config import load_config
    from breeder.foreign_models import with_task_models
    from breeder.machine import cores
    from breeder.model_specs import with_models
    from breeder.report.runs import new_folder

    overrides: dict[str, Any] = {
        "budget.minutes": minutes,
        "budget.evaluations": evaluations,
        "budget.cpu_seconds": cpu_seconds,
        "budget.tokens": tokens,
        "budget.currency": currency,
        "search.plateau": plateau,
        "search.proposers": None if proposers is None else _names(proposers),
        "seed": seed,
        "slots": slots,
        "sandbox": sandbox,
        "baselines": baselines,
    }
    settings = load_config(config, overrides, defaults={"slots": cores()})
    loaded = _load(task)
    settings, specs = with_task_models(settings, loaded, model or ())
    settings = with_models(settings, specs, key_env=key_env)
    folder = out or new_folder(loaded.name)
    _sit(loaded, settings, folder, resume=False, as_json=as_json)


@app.command()
def resume(
    directory: RunArgument,
    *,
    minutes: MinutesOption = None,
    evaluations: EvaluationsOption = None,
    cpu_seconds: CpuSecondsOption = None,
    tokens: TokensOption = None,
    currency: CurrencyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a stopped, killed or finished run.

    A limit that is given replaces the run's own and must be above it; it counts from the run's
    beginning, so `--minutes 20` on a run of 10 minutes gives it 10 more.
    """
    from breeder.archive.store import Store
    from breeder.config import RunConfig, extended

    with closing(Store.open(directory, readonly=True)) as store:
        record = store.run()
    more = {
        "minutes": minutes,
        "evaluations": evaluations,
        "cpu_seconds": cpu_seconds,
        "tokens": tokens,
        "currency": currency,
    }
    settings = extended(RunConfig.model_validate_json(record.config_json), more)
    if not Path(record.task_folder).is_dir():
        raise RunError(f"{directory}: its task folder {record.task_folder} is gone; put it back")
    loaded = _load(record.task_folder)
    if record.status == "finished" and not any(more.values()) and not as_json:
        typer.echo(f"{directory} is finished ({record.detail}); doing only what it still owes")
    _sit(loaded, settings, directory, resume=True, as_json=as_json)


for command in (cli_views.runs, cli_views.show, cli_views.diff, cli_views.export, cli_views.report):
    app.command()(command)
app.command()(certifying.verify)
app.command()(certifying.adopt)
app.command()(cli_ablate.ablate)
app.command()(cli_accelerate.accelerate)
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_kernels.app, name="kernels")
app.add_typer(cli_records.app, name="records")
app.add_typer(cli_train.app, name="train")


@app.command()
def doctor(
    *,
    seconds: Annotated[float, typer.Option(min=0, help="Measuring in all; 0 for none.")] = 12.0,
    cheats: Annotated[bool, typer.Option("--cheats", help="Try the cheat suite.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine offers, and how small a difference it can resolve."""
    from breeder.doctor import cheat, consult

    if cheats:
        code = cheat(typer.echo, as_json=as_json)
    else:
        code = consult(seconds, typer.echo, as_json=as_json)
    if code:
        raise typer.Exit(code)


def main() -> Never:
    """Entry point: turn our exceptions into one line and an exit code."""
    try:
        # In this mode typer.Exit does not get here: its code is what the call returns.
        code = app(prog_name="breeder", standalone_mode=False)
    except BreederError as error:
        typer.echo(f"breeder: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader has seen enough (`breeder show RUN | head`); nothing more can be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        typer.echo(f"breeder: {name}{error.strerror or error}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("breeder: stopped by a signal", err=True)
        sys.exit(3)
    except Exception as error:
        sys.exit(_usage(error))
    if code == _INTERRUPTED:
        typer.echo("breeder: stopped by a signal", err=True)
        code = 3
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Exception) -> int:
    """Show a mistake on the command line in one line; let anything else through."""
    message = getattr(error, "format_message", None)
    if message is None:
        raise error
    context = getattr(error, "ctx", None)
    remedy = f"; see `{context.command_path} --help`" if context else ""
    typer.echo(f"breeder: {message().rstrip('.')}{remedy}", err=True)
    return int(getattr(error, "exit_code", 2))


def _sit(task: Task, config: RunConfig, folder: Path, *, resume: bool, as_json: bool) -> None:
    import asyncio

    from breeder.runner import Run
    from breeder.terminal import Terminal

    terminal = Terminal(cli_views.console(), task, config, quiet=as_json)
    sitting = Run(task, config, folder, watch=terminal.watch())
    with terminal:
        ending = asyncio.run(sitting.resume() if resume else sitting.start())
    _close(ending, folder, as_json=as_json)


def _close(ending: Ending, folder: Path, *, as_json: bool) -> None:
    from breeder.archive.store import Store

    with closing(Store.open(folder, readonly=True)) as store:
        cli_views.show_store(store, as_json=as_json)
    if not as_json:
        typer.echo(f"{ending.status}: {ending.reason}. Report: breeder report {folder}")
    if ending.status == "stopped":
        if not as_json:
            typer.echo(f"go on with: breeder resume {folder}")
        raise typer.Exit(3)


def _load(task: str) -> Task:
    from breeder.task_formats import load

    return load(task)


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name for part in listed.split(",") if (name := part.strip()))


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].rstrip(".")
