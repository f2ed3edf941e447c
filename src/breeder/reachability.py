"""Whether endpoints can be reached, asked before a run begins: nothing has been spent by then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from breeder.errors import ConfigError
from breeder.proposers.llm.settings import ModelConfig

_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


async def refuse_unreachable(models: Sequence[ModelConfig]) -> None:
    """Connect to every endpoint once; nothing is sent.

    Endpoints behind a proxy of the environment are left to the first request.

    Raises:
        ConfigError: nobody listens at the address of a model; says which, and what to do.
    """
    await asyncio.gather(*(_connect(model) for model in models))


async def _connect(model: ModelConfig) -> None:
    parts = urlsplit(model.endpoint)
    if not model.loopback and _proxied(parts.scheme):
        return
    port = parts.port or _PORTS[parts.scheme]
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except TimeoutError:
        raise ConfigError(_told(model, f"no answer within {_SECONDS:g} s")) from None
    except OSError as error:
        raise ConfigError(_told(model, _cause(error))) from None
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return  # it listens, which is all that is asked


def _proxied(scheme: str) -> bool:
    names = (f"{scheme}_proxy", "all_proxy")
    return any(os.environ.get(name) or os.environ.get(name.upper()) for name in names)


def _cause(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return (error.strerror or str(error)).lower()


def _told(model: ModelConfig, cause: str) -> str:
    return (
        f"model {model.name!r}: {model.endpoint} cannot be reached ({cause}); start it, correct"
        " the address, or leave the model out"
    )
