"""The commands that look at runs: list, show, compare, export, report."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeder.errors import RunError
from breeder.options import JsonOption, RunArgument, print_json

if TYPE_CHECKING:
    from breeder.archive.store import Store


def runs(
    root: Annotated[Path, typer.Argument(help="Where to look.", metavar="FOLDER")] = Path(),
    *,
    as_json: JsonOption = False,
) -> None:
    """List the runs below a directory."""
    from breeder.report.runs import list_runs, render_runs

    if not root.is_dir():
        raise RunError(f"{root}: is no folder")
    found = list_runs(root)
    if as_json:
        print_json([row.to_json() for row in found])
    else:
        render_runs(found, console())


def show(directory: RunArgument, *, as_json: JsonOption = False) -> None:
    """Say where a run stands: champion, failures, costs."""
    from breeder.archive.store import Store

    with closing(Store.open(directory, readonly=True)) as store:
        show_store(store, as_json=as_json)


def diff(directory: RunArgument, *, as_json: JsonOption = False) -> None:
    """Show what changed from the start to the champion."""
    from breeder.archive.store import Store
    from breeder.report.diff import diff_json, render_diff

    with closing(Store.open(directory, readonly=True)) as store:
        if as_json:
            print_json(diff_json(store))
        else:
            render_diff(store, console())


def export(
    directory: RunArgument,
    *,
    to: Annotated[Path, typer.Option("--to", help="The folder to write.", metavar="FOLDER")],
) -> None:
    """Write the champion as a folder that stands alone."""
    from breeder.archive.store import Store
    from breeder.report.export import export as write

    with closing(Store.open(directory, readonly=True)) as store:
        for line in write(store, to):
            typer.echo(line)


def report(
    directory: RunArgument,
    *,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder; default RUN/report.", metavar="FOLDER")
    ] = None,
) -> None:
    """Write a self-contained HTML page and PNGs of a run."""
    from breeder.report.page import write_report

    typer.echo(f"wrote {write_report(directory, to)}")


def show_store(store: Store, *, as_json: bool) -> None:
    """Print where the run of a store stands."""
    from breeder.report.summary import render, summarise

    summary = summarise(store)
    if as_json:
        print_json(summary.to_json())
    else:
        render(summary, console())


def console() -> Any:
    """Where commands draw."""
    from rich.console import Console

    return Console(highlight=False)
