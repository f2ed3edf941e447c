"""Models with their tokenizers: read from a folder or a GGUF file, written as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from breeder.errors import ConfigError
from breeder.models import files, tokenizers
from breeder.models.decoder import Decoder
from breeder.models.gguf_file import GgufFile
from breeder.models.tokenizers import Bytes, Tokenizer


class LoadedModel(NamedTuple):
    """A decoder and the tokenizer that belongs to it."""

    decoder: Decoder
    tokenizer: Tokenizer


def load(path: Path, dtype: Any = None, tokenizer: Path | None = None) -> LoadedModel:
    """Read a model.

    Args:
        path: a folder with `config.json` and safetensors, or a GGUF file.
        dtype: of the weights; float32 if None.
        tokenizer: a `tokenizer.json` in place of the model's own.

    Raises:
        ConfigError: a file is missing, damaged or of another kind; or tokenizer and model differ in
            the size of the vocabulary.
        UserError: a package is not installed.
    """
    words = tokenizer_of(path, tokenizer)
    decoder = files.read_folder(path, dtype) if path.is_dir() else GgufFile(path).model(dtype)
    if words.vocabulary > decoder.config.vocabulary:
        raise ConfigError(
            f"{tokenizer or path}: the tokenizer has {words.vocabulary} tokens, the model "
            f"{decoder.config.vocabulary}"
        )
    return LoadedModel(decoder, words)


def tokenizer_of(path: Path, given: Path | None = None) -> Tokenizer:
    """The tokenizer of a model, without its weights.

    Args:
        path: a folder: its `tokenizer.json`, or bytes for a vocabulary of 257; or a GGUF file.
        given: a `tokenizer.json` in place of the model's own.

    Raises:
        ConfigError: there is none, or no such model.
        UserError: a package is not installed.
    """
    if not path.exists():
        raise ConfigError(f"model {path} does not exist")
    if given is not None:
        return tokenizers.read(given)
    if path.is_file():
        return tokenizers.of_gguf(GgufFile(path))
    config = files.read_json(path / files.CONFIG)
    if not (path / tokenizers.FILE).is_file():
        if config.get("vocab_size") == Bytes.vocabulary:
            return Bytes()
        raise ConfigError(f"{path}: has no {tokenizers.FILE}; give one with --tokenizer")
    end: Any = config.get("eos_token_id")
    if isinstance(end, list):
        end = next(iter(end), None)
    return tokenizers.read(path / tokenizers.FILE, end)


def save(model: LoadedModel, folder: Path) -> None:
    """Write a model as a folder that `load` and Hugging Face's `transformers` read.

    Raises:
        UserError: safetensors is not installed.
    """
    files.write_folder(model.decoder, folder, {"eos_token_id": model.tokenizer.end})
    model.tokenizer.save(folder)
