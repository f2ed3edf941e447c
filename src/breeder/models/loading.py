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
    if path.is_dir():
        decoder = files.read_folder(path, dtype)
        words = tokenizer_of(path) if tokenizer is None else tokenizers.read(tokenizer)
    elif path.is_file():
        file = GgufFile(path)
        decoder = file.model(dtype)
        words = tokenizers.of_gguf(file) if tokenizer is None else tokenizers.read(tokenizer)
    else:
        raise ConfigError(f"model {path} does not exist")
    if words.vocabulary > decoder.config.vocabulary:
        raise ConfigError(
            f"{tokenizer or path}: the tokenizer has {words.vocabulary} tokens, the model "
            f"{decoder.config.vocabulary}"
        )
    return LoadedModel(decoder, words)


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder: its `tokenizer.json`, or bytes for a vocabulary of 257.

    Raises:
        ConfigError: there is none.
    """
    config = files.read_json(folder / files.CONFIG)
    if not (folder / tokenizers.FILE).is_file():
        if config.get("vocab_size") == Bytes.vocabulary:
            return Bytes()
        raise ConfigError(f"{folder}: has no {tokenizers.FILE}; give one with --tokenizer")
    end: Any = config.get("eos_token_id")
    if isinstance(end, list):
        end = next(iter(end), None)
    return tokenizers.read(folder / tokenizers.FILE, end)


def save(model: LoadedModel, folder: Path) -> None:
    """Write a model as a folder that `load` and Hugging Face's `transformers` read.

    Raises:
        UserError: safetensors is not installed.
    """
    files.write_folder(model.decoder, folder, {"eos_token_id": model.tokenizer.end})
    model.tokenizer.save(folder)
