"""The commands `breeder kernels ...`: parse, call, print."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breeder.options import JsonOption, print_json

if TYPE_CHECKING:
    from breeder.training.catalogue import Entry

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Kernels for training: what is adopted or known, checked and built on this machine.",
)

OpsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Operations, such as rmsnorm.  [default: all]", metavar="OPERATION"),
]


@app.command(name="list")
def list_(ops: OpsArgument = None, *, as_json: JsonOption = False) -> None:
    """List kernels: operation, type, shapes, source, and what became of them here."""
    from breeder.training.catalogue import Catalogue, chosen_ops

    _print(Catalogue.default().listed(chosen_ops(ops or ())), as_json=as_json)


@app.command()
def verify(ops: OpsArgument = None, *, as_json: JsonOption = False) -> None:
    """Check kernels anew on fresh inputs and time them against plain loops.

    Those for a GPU are checked in Triton's interpreter where no GPU is, and timed nowhere.
    Exit codes: 0 all are right, 1 one is not, 2 a mistake to mend, 3 stopped by a signal.
    """
    from breeder.training.catalogue import Catalogue, chosen_ops

    _print(Catalogue.default().verified(chosen_ops(ops or ())), as_json=as_json, strict=True)


@app.command()
def install(
    ops: OpsArgument = None,
    *,
    champion: Annotated[
        Path | None,
        typer.Option(
            "--champion",
            help="Adopt this one first: a verified run, an exported champion, a certificate.json.",
            metavar="RUN|FOLDER|CERTIFICATE",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build kernels and check them, so that training does not have to wait for that.

    Exit codes: 0 all that are meant for this machine can be used, 1 one cannot, 2 a mistake to
    mend, 3 stopped by a signal.
    """
    from breeder.certifying import adopt_source
    from breeder.training.catalogue import Catalogue, chosen_ops

    chosen, catalogue = chosen_ops(ops or ()), Catalogue.default()
    if champion is not None:
        adoption = adopt_source(catalogue.adopted, champion)
        if not as_json:
            typer.echo(f"adopted {adoption.program_id} for {adoption.task}: {adoption.folder}")
    _print(catalogue.installed(chosen), as_json=as_json, strict=True)


def _print(entries: Iterable[Entry], *, as_json: bool, strict: bool = False) -> None:
    import msgspec

    found = []
    for entry in entries:
        found.append(entry)
        if not as_json:
            typer.echo(_line(entry))
    if as_json:
        print_json([msgspec.to_builtins(one) for one in found])
    if strict and not all(one.usable or one.needs for one in found):
        raise typer.Exit(1)


def _line(entry: Entry) -> str:
    speed = ""
    if entry.speedup is not None:
        speed = f", {entry.speedup:.2f}x [{entry.low:.2f}, {entry.high:.2f}] plain loops"
    return (
        f"{entry.op:<19} {entry.dtype:<8} {entry.bucket:<12} {entry.source:<32} "
        f"{entry.state}{speed}"
    )
