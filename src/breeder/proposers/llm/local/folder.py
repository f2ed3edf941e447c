"""Where models lie on this machine, and which file a name or a path stands for."""

from __future__ import annotations

import os
from pathlib import Path

from breeder.errors import ConfigError
from breeder.proposers.llm.local.catalogue import DEFAULT, MODELS, Model, lookup

_MAGIC = b"GGUF"


def model_folder() -> Path:
    """The folder of pulled models: `BREEDER_MODELS`, or `breeder/models` in the user's cache."""
    chosen = os.environ.get("BREEDER_MODELS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path("~/.cache").expanduser()) / "breeder" / "models"


def file_of(model: Model) -> Path:
    """Where the assembled file of a model of the catalogue lies once it has been pulled."""
    return model_folder() / model.file


def pulled(model: Model) -> bool:
    """Whether a model of the catalogue is at hand.

    Its hash was checked when it was assembled; here the size must do.
    """
    path = file_of(model)
    return path.is_file() and path.stat().st_size == model.size


def hub_folder(repository: str) -> Path:
    """Where the files of a hub's repository (`owner/name`) are kept."""
    return model_folder() / "hub" / repository.replace("/", "--")


def is_hub_name(spec: str) -> bool:
    """Whether `spec` reads like a hub's `owner/name`, perhaps with `:file.gguf`."""
    repository = spec.split(":", 1)[0]
    return repository.count("/") == 1 and not repository.startswith((".", "/", "~"))


def resolve(spec: str = "") -> Path:
    """Return the GGUF file that `spec` stands for.

    Args:
        spec: a name of the catalogue, the path of a GGUF file, `owner/name` of a hub's repository
            that was pulled, or nothing for the default model.

    Raises:
        ConfigError: there is no such model or file, or it is no GGUF file. Names the remedy.
    """
    if spec in ("", *MODELS):
        model = lookup(spec or DEFAULT)
        if not pulled(model):
            raise ConfigError(
                f"model {model.name} is not on this machine; run: breeder models pull {model.name}"
            )
        return file_of(model)
    path = Path(spec).expanduser()
    if path.is_file():
        return _checked(path.absolute())
    if is_hub_name(spec) and not spec.endswith(".gguf"):
        return _pulled_from_hub(spec)
    if "/" in spec or spec.endswith(".gguf"):
        raise ConfigError(f"model file {spec} does not exist")
    lookup(spec)  # raises: it is neither a known name nor a file
    return path


def _pulled_from_hub(spec: str) -> Path:
    found = sorted(hub_folder(spec).glob("*.gguf"))
    if not found:
        raise ConfigError(f"model {spec} is not on this machine; run: breeder models pull {spec}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError(f"model {spec}: several files ({names}); give the path of one")
    return _checked(found[0])


def _checked(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise ConfigError(f"model file {path}: {error.strerror}") from None
    if start != _MAGIC:
        raise ConfigError(f"model file {path} is not a GGUF file")
    return path
