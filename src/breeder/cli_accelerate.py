"""The command `breeder accelerate`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from breeder.errors import UserError
from breeder.options import JsonOption, print_json


def accelerate(
    script: Annotated[
        Path, typer.Argument(help="A training script, which is run as it is.", metavar="SCRIPT")
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Its arguments, after --.", metavar="ARGUMENT")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder for logs, tasks and champions.")] = Path(
        "accelerated"
    ),
    steps: Annotated[int, typer.Option(min=1, help="Steps that are profiled.")] = 3,
    seconds: Annotated[float, typer.Option(min=1.0, help="Of each of three comparisons.")] = 60.0,
    evolve_cpu_seconds: Annotated[
        float, typer.Option(min=0.0, help="Evolve kernels for hot shapes so long.  [default: none]")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Say where a training script's time goes, and what kernels would gain.

    The script runs several times, with its own arguments, until enough steps were seen; a step ends
    with `optimizer.step()`. Exit codes: 0 done, 1 the kernels change the gradients, 2 a mistake to
    mend, 3 stopped by a signal.
    """
    from msgspec import to_builtins

    from breeder.acceleration.analysis import AGREEMENT, Plan, analyse

    if not script.is_file():
        raise UserError(f"{script}: is no file")
    plan = Plan((str(script), *(arguments or ())), out, steps, seconds, evolve_cpu_seconds)
    outcome = analyse(plan, lambda line: None if as_json else typer.echo(line))
    if as_json:
        print_json(to_builtins(outcome))
    else:
        for gain in (outcome.flag_gain, outcome.kernel_gain, outcome.strongest_gain):
            typer.echo(str(gain))
        typer.echo(
            f"gradients of the first step: {outcome.distance:.2g} from those without kernels"
        )
        typer.echo(outcome.advice)
        if outcome.adopted:
            typer.echo(f"{outcome.adopted} evolved here: BREEDER_REGISTRY={out / 'registry'}")
    if outcome.distance > AGREEMENT:
        raise typer.Exit(1)
