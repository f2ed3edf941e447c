"""One small decoder (Qwen2 and Llama shape) in torch. torch is imported when a name is first used.

`operations` and `decoder` compute; `files` and `gguf_file` read and write weights; `loading` puts
models and tokenizers together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from breeder.models.config import PRESETS, DecoderConfig, preset

if TYPE_CHECKING:
    from breeder.models.cache import Cache, KeyValueCache
    from breeder.models.decoder import Decoder
    from breeder.models.loading import LoadedModel, load, save
    from breeder.models.sampling import generate
    from breeder.models.tokenizers import Bytes, Tokenizer, Vocabulary

_MODULES = {
    "Bytes": "tokenizers",
    "Cache": "cache",
    "Decoder": "decoder",
    "KeyValueCache": "cache",
    "LoadedModel": "loading",
    "Tokenizer": "tokenizers",
    "Vocabulary": "tokenizers",
    "generate": "sampling",
    "load": "loading",
    "save": "loading",
}

__all__ = [
    "PRESETS",
    "Bytes",
    "Cache",
    "Decoder",
    "DecoderConfig",
    "KeyValueCache",
    "LoadedModel",
    "Tokenizer",
    "Vocabulary",
    "generate",
    "load",
    "preset",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
