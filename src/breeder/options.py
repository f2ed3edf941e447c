"""Options that several commands of the command line share, and what they mean."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from breeder.errors import UserError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]
SandboxOption = Annotated[
    str | None, typer.Option(help="bubblewrap, or none: no isolation, marked in every view.")
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
