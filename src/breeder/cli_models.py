"""The commands `breeder models ...`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breeder.errors import ConfigError
from breeder.options import JsonOption, print_json

if TYPE_CHECKING:
    from breeder.proposers.llm.settings import ModelConfig

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Language models: try those that are configured, fetch small local ones.",
)

DEFAULT_FILE = Path("breeder.toml")


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Entries to try.  [default: all]", metavar="NAME"),
    ] = None,
    *,
    config: Annotated[
        Path | None, typer.Option(help="File with [[model]] entries.  [default: breeder.toml]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try each configured model with a tiny request; exit code 2 if one does not work."""
    import asyncio

    from breeder.proposers.llm.examination import examine_all

    if config is None and not DEFAULT_FILE.exists():
        raise ConfigError(f"{DEFAULT_FILE}: is not here; name a file with models in --config")
    chosen = _chosen(config or DEFAULT_FILE, names or [])
    found = asyncio.run(examine_all(chosen))
    if as_json:
        print_json([one.to_json() for one in found])
    else:
        for one in found:
            typer.echo("\n".join(one.lines()))
    if any(one.problem for one in found):
        raise typer.Exit(2)


@app.command()
def pull(
    name: Annotated[
        str, typer.Argument(help="A name of `breeder models list`, or OWNER/NAME of a hub.")
    ] = "",
) -> None:
    """Fetch a small model that runs on this machine."""
    from breeder.proposers.llm.local.commands import pull_model

    pull_model(name, typer.echo)


@app.command("list")
def list_(*, as_json: JsonOption = False) -> None:
    """List the small models that can be fetched."""
    from breeder.proposers.llm.local.commands import list_models, rows

    if as_json:
        print_json(rows())
    else:
        list_models(typer.echo)


@app.command()
def path(
    name: Annotated[str, typer.Argument(help="A name, or a path.  [default: the default]")] = "",
) -> None:
    """Say where the file of a local model is."""
    from breeder.proposers.llm.local.commands import path_of

    typer.echo(str(path_of(name)))


def _chosen(file: Path, names: list[str]) -> list[ModelConfig]:
    from breeder.config import load_config

    models = {model.name: model for model in load_config(file, {}).model}
    if not models:
        raise ConfigError(f"{file}: has no [[model]] entry")
    unknown = [name for name in names if name not in models]
    if unknown:
        raise ConfigError(f"{file}: has no model {unknown[0]!r}; it has {', '.join(models)}")
    return [models[name] for name in names] or list(models.values())
