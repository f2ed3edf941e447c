"""Fetching a GGUF file from a model hub, for those who have its client installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from breeder.errors import ConfigError
from breeder.proposers.llm.local.folder import hub_folder
from breeder.proposers.llm.local.wheels import PullError

_CLIENT = "huggingface_hub"
_PREFERRED = ("q4_k_m", "q4_0", "q8_0")


def choose(files: Sequence[str]) -> str:
    """The file to take when none was named: the only one, or the first preferred quantisation.

    Raises:
        ConfigError: there is none, or no telling which.
    """
    found = sorted(name for name in files if name.endswith(".gguf"))
    if len(found) == 1:
        return found[0]
    for mark in _PREFERRED:
        matching = [name for name in found if mark in name.lower()]
        if len(matching) == 1:
            return matching[0]
    if not found:
        raise ConfigError("the repository holds no .gguf file")
    raise ConfigError(f"name one of its files after a colon: {', '.join(found)}")


def pull_from_hub(spec: str, echo: Callable[[str], None], *, client: Any = None) -> Path:
    """Fetch `owner/name` or `owner/name:file.gguf` and return the file.

    What the hub holds is not pinned: whoever owns the repository vouches for it.

    Args:
        spec: repository, and file where it holds several.
        echo: is given a line of progress.
        client: has `list_repo_files` and `hf_hub_download`; the installed client by default.

    Raises:
        ConfigError: no client is installed, or the file cannot be told.
        PullError: the download failed.
    """
    repository, _, file = spec.partition(":")
    if client is None:
        client = _installed()
    try:
        chosen = file or choose(client.list_repo_files(repository))
        echo(f"{repository}: fetching {chosen}; its content is not pinned, its licence is its own")
        folder = hub_folder(repository)
        return Path(client.hf_hub_download(repository, chosen, local_dir=str(folder)))
    except ConfigError as error:
        raise ConfigError(f"{repository}: {error}") from None
    except Exception as error:  # the client raises whatever its network layer does
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise PullError(f"{spec} could not be fetched: {words}") from None


def _installed() -> Any:
    if importlib.util.find_spec(_CLIENT) is None:
        raise ConfigError(
            f"pulling from a hub needs its client; run: pip install {_CLIENT}, or give the path "
            "of a .gguf file"
        )
    return importlib.import_module(_CLIENT)
