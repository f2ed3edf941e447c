"""Model folders of Hugging Face: `config.json` and weights in one or several safetensors files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from breeder.errors import ConfigError
from breeder.extras import required
from breeder.models.config import DecoderConfig
from breeder.models.decoder import Decoder
from breeder.models.pytorch import torch

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_DERIVED = "rotary_emb.inv_freq"  # in old folders; follows from the configuration
_PURPOSE = "reading and writing models"
_HEAD, _PREFIX = "lm_head.", "model."  # Hugging Face puts everything but the head into `model`


def published(name: str) -> str:
    """A parameter's name in a model folder, from its name in the decoder."""
    return name if name.startswith(_HEAD) else _PREFIX + name


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Raises:
        ConfigError: it is missing or something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold an object")
    return data


def read_folder(folder: Path, dtype: Any = None) -> Decoder:
    """Build the decoder that a folder holds.

    Args:
        folder: holds `config.json` and safetensors.
        dtype: of the weights; float32 if None.

    Raises:
        ConfigError: a file is missing or damaged, or holds a model of another kind.
        UserError: safetensors is not installed.
    """
    file = folder / CONFIG
    config = DecoderConfig.from_huggingface(read_json(file), str(file))
    return filled(Decoder(config), _tensors(folder), str(folder), dtype)


def filled(
    model: Decoder, tensors: Iterable[tuple[str, Any]], source: str, dtype: Any = None
) -> Decoder:
    """Put weights into a decoder.

    Args:
        model: gets them.
        tensors: with their published names, one at a time to save memory.
        source: where they come from, for messages.
        dtype: of the weights; float32 if None.

    Raises:
        ConfigError: a tensor is missing, unknown or of another shape.
    """
    model.to(dtype or torch.float32)
    wanted = {published(name): parameter for name, parameter in model.named_parameters()}
    for name, tensor in tensors:
        if name.endswith(_DERIVED) or (model.config.tied and name == _HEAD + "weight"):
            continue
        parameter = wanted.pop(name, None)
        if parameter is None:
            raise ConfigError(f"{source}: tensor {name} is not known to this architecture")
        if tensor.shape != parameter.shape:
            shapes = f"{list(tensor.shape)}, not {list(parameter.shape)}"
            raise ConfigError(f"{source}: tensor {name} has the shape {shapes}")
        with torch.no_grad():
            parameter.copy_(tensor)
    if wanted:
        raise ConfigError(f"{source}: tensor {next(iter(wanted))} is missing")
    return model


def write_folder(model: Decoder, folder: Path, more: Mapping[str, Any] | None = None) -> None:
    """Write a decoder as a folder that this package and Hugging Face's `transformers` read.

    Args:
        model: what to write, in the type of its weights.
        folder: is made where it is missing.
        more: further keys of `config.json`.

    Raises:
        UserError: safetensors is not installed.
    """
    save = required("safetensors.torch", purpose=_PURPOSE).save_file
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {published(name): one.detach() for name, one in model.named_parameters()}
    save(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    kind = str(next(model.parameters()).dtype).removeprefix("torch.")
    config = {**model.config.to_huggingface(), "dtype": kind, **(more or {})}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _tensors(folder: Path) -> Iterator[tuple[str, Any]]:
    safetensors = required("safetensors", purpose=_PURPOSE)
    for file in _shards(folder):
        try:
            with safetensors.safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - the object is no mapping
                    yield name, opened.get_tensor(name)
        except safetensors.SafetensorError as error:
            raise ConfigError(f"{file}: is damaged: {error}") from None
        except FileNotFoundError:
            raise ConfigError(f"{file} is missing") from None


def _shards(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise ConfigError(f"{index}: weight_map is missing")
        return [folder / name for name in sorted(set(map(str, named.values())))]
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise ConfigError(f"{folder}: holds no .safetensors file")
    return found
