"""What `--model` means: entries of the configuration, addresses, models on this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence

from breeder.config import RunConfig, model_entry
from breeder.errors import ConfigError
from breeder.proposers.llm.local.model import absolute, is_local
from breeder.proposers.llm.settings import ModelConfig

_ADDRESS = re.compile(r"(?P<id>[^@].*?)@(?P<address>https?://.+)")


def with_models(config: RunConfig, specs: Sequence[str], *, key_env: str = "") -> RunConfig:
    """Return the configuration with just these models; as it is without any.

    Args:
        config: the configuration, with its `[[model]]` entries.
        specs: names of entries, `MODEL@ADDRESS`, `local`, `local:NAME` or `local:PATH`.
        key_env: name of the environment variable with the key of the addresses.

    Raises:
        ConfigError: there is no such model, or an address is none; one line.
    """
    if key_env and not any(_ADDRESS.fullmatch(spec) for spec in specs):
        raise ConfigError("--key-env: goes with --model MODEL@ADDRESS; entries name their own")
    if not specs:
        return config
    entries, chosen = list(config.model), []
    for spec in dict.fromkeys(specs):
        if is_local(spec):
            chosen.append(absolute(spec))
            continue
        entry = next((one for one in entries if one.name == spec), None)
        if entry is None:
            entry = _addressed(spec, key_env, entries)
            entries.append(entry)
        chosen.append(entry.name)
    search = config.search.model_copy(update={"models": tuple(chosen)})
    return config.model_copy(update={"model": tuple(entries), "search": search})


def _addressed(spec: str, key_env: str, entries: Sequence[ModelConfig]) -> ModelConfig:
    """An entry for `MODEL@ADDRESS`."""
    found = _ADDRESS.fullmatch(spec)
    if found is None:
        known = ", ".join(entry.name for entry in entries)
        listed = f"known here: {known}" if known else "there are no [[model]] entries"
        raise ConfigError(
            f"--model: {spec!r} is no entry ({listed}), no MODEL@http://ADDRESS, and not `local`"
        )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", found["id"]).strip("-.")[:48] or "model"
    taken = {entry.name for entry in entries}
    free = next(n for n in (name, *(f"{name}-{i}" for i in range(2, 99))) if n not in taken)
    return model_entry(
        {"name": free, "model": found["id"], "endpoint": found["address"], "key_env": key_env}
    )
