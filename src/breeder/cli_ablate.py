"""The command `breeder ablate`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breeder.options import (
    JsonOption,
    KeyEnvOption,
    ModelOption,
    TokensOption,
    print_json,
)

if TYPE_CHECKING:
    from breeder.api import RunOptions


def ablate(  # noqa: PLR0913 - one parameter per flag is what a command line is
    task: Annotated[
        str, typer.Argument(help="A task folder, or the name of a shipped task.", metavar="TASK")
    ],
    *,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Switch off: reflection, meta-prompts, inspirations, tuning, evolution or "
            "context; may be repeated.  [default: each]",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each kind.")] = 3,
    cpu_seconds: Annotated[
        float, typer.Option(min=0.001, help="Budget of each run, CPU seconds of searching.")
    ] = 60.0,
    tokens: TokensOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs.  [default: ablations/TASK]")
    ] = None,
    model: ModelOption = None,
    slots: Annotated[
        int | None, typer.Option(help="Evaluations side by side.  [default: one per core]")
    ] = None,
    key_env: KeyEnvOption = "",
    config: Annotated[Path | None, typer.Option(help="A TOML file; flags win over it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the full method and the same without one part, with equal budgets and seeds.

    Called again with the same --out it goes on where it was stopped.
    """
    from breeder.ablation import ablate as run_all
    from breeder.ablation import lines
    from breeder.task_formats import load

    loaded = load(task)
    options: RunOptions = {
        "models": model or (),
        "key_env": key_env,
        "slots": slots,
        "config": config,
        "budget": {"cpu_seconds": cpu_seconds, **({} if tokens is None else {"tokens": tokens})},
    }
    table = run_all(
        loaded,
        options,
        out or Path("ablations") / loaded.name.replace("/", "-"),
        without=without or (),
        seeds=seeds,
        tell=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        print_json(table.to_json())
        return
    for line in lines(table):
        typer.echo(line)
