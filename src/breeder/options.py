"""Options that several commands of the command line share, and what they mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from breeder.errors import UserError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]
SandboxOption = Annotated[
    str | None, typer.Option(help="bubblewrap, or none: no isolation, marked in every view.")
]

RunArgument = Annotated[Path, typer.Argument(help="A run's directory.", metavar="RUN")]
MinutesOption = Annotated[float | None, typer.Option(help="Limit: wall minutes of searching.")]
EvaluationsOption = Annotated[int | None, typer.Option(help="Limit: number of evaluations.")]
CpuSecondsOption = Annotated[
    float | None, typer.Option(help="Limit: CPU seconds of searching, all processes together.")
]
TokensOption = Annotated[int | None, typer.Option(help="Limit: model tokens.")]
CurrencyOption = Annotated[float | None, typer.Option(help="Limit: money spent on models.")]
ModelOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SPEC",
        help="A model that proposes, may be repeated: a [[model]] entry's name, MODEL@ADDRESS, "
        "local, local:NAME, local:PATH, or task: those that a foreign folder names.  "
        "[default: every entry]",
    ),
]
KeyEnvOption = Annotated[
    str, typer.Option(metavar="NAME", help="Environment variable with the key for MODEL@ADDRESS.")
]


def sandbox_kind(name: str | None) -> Literal["bubblewrap", "none"]:
    """Return the kind of sandbox that `--sandbox` names; bubblewrap by default.

    Raises:
        UserError: there is no such kind.
    """
    if name is None or name == "bubblewrap":
        return "bubblewrap"
    if name == "none":
        return "none"
    raise UserError(f"--sandbox: {name!r} is not one of bubblewrap, none")


def print_json(data: Any) -> None:
    """Print data as JSON, strictly: NaN is an error."""
    typer.echo(json.dumps(data, indent=2, allow_nan=False))
