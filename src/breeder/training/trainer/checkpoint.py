"""A point from which training goes on exactly: weights, optimiser, generator, place in the text.

One safetensors file, no pickle, replaced as a whole: a crash while it is written leaves the one
before.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from breeder.errors import RunError, UserError
from breeder.extras import required
from breeder.models.pytorch import torch

FILE = "checkpoint.safetensors"
_FORMAT = "1"
_PURPOSE = "checkpoints"
_GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Position:
    """How far training is.

    Attributes:
        step: updates that were made.
        sequences: that were read.
        seconds: wall time of training.
        corpus: digest of the text.
    """

    step: int
    sequences: int
    seconds: float
    corpus: str


def save(folder: Path, model: Any, optimiser: Any, position: Position) -> None:
    """Write a checkpoint into a folder.

    Args:
        folder: exists.
        model: its trained parameters are kept.
        optimiser: a torch optimiser over these.
        position: how far training is.

    Raises:
        UserError: it cannot be written, or safetensors is not installed. The one before stays.
    """
    safetensors = required("safetensors.torch", purpose=_PURPOSE)
    tensors = {f"model.{name}": one.detach() for name, one in trained(model).items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
    tensors[_GENERATOR] = torch.get_rng_state()
    metadata = {"format": _FORMAT, "position": json.dumps(asdict(position))}
    target, partial = folder / FILE, folder / f"{FILE}.partial"
    try:
        safetensors.save_file(tensors, partial, metadata=metadata)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    except (OSError, required("safetensors", purpose=_PURPOSE).SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UserError(f"{target}: cannot be written: {error}") from None


def restore(folder: Path, model: Any, optimiser: Any) -> Position:
    """Put model, optimiser and torch's generator into the state of a folder's checkpoint.

    Raises:
        RunError: it is damaged, of another format, or of another model.
        UserError: safetensors is not installed.
    """
    safetensors = required("safetensors", purpose=_PURPOSE)
    path = folder / FILE
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(f"{path}: is missing or damaged: {error}") from None
    if metadata.get("format") != _FORMAT:
        raise RunError(f"{path}: is of another format, {metadata.get('format')}, not {_FORMAT}")
    wanted = trained(model)
    if {f"model.{name}" for name in wanted} != {one for one in tensors if one.startswith("model.")}:
        raise RunError(f"{path}: belongs to another model")
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[f"model.{name}"])
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    torch.set_rng_state(tensors[_GENERATOR])
    return Position(**json.loads(metadata["position"]))


def trained(model: Any) -> dict[str, Any]:
    """The parameters that training changes, by name."""
    return {name: one for name, one in model.named_parameters() if one.requires_grad}
