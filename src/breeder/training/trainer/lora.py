"""LoRA: a frozen linear layer plus a trained change of low rank. Files are laid out as PEFT's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from breeder.errors import ConfigError
from breeder.extras import required
from breeder.models import Decoder
from breeder.models.files import published, read_json
from breeder.models.pytorch import functional, torch
from breeder.training.trainer.settings import LoraSettings

nn: Any = torch.nn
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PURPOSE = "reading and writing adapters"


class LoraLinear(nn.Module):  # type: ignore[misc]
    """y = W x + b + (alpha / r) B A x; only A and B are trained, in float32.

    B begins at zero, so that nothing changes before the first update.
    """

    def __init__(self, base: Any, settings: LoraSettings) -> None:
        super().__init__()
        self.base = base
        self.lora_A = nn.Linear(base.in_features, settings.r, bias=False, dtype=torch.float32)
        self.lora_B = nn.Linear(settings.r, base.out_features, bias=False, dtype=torch.float32)
        nn.init.zeros_(self.lora_B.weight)
        self.scale = settings.alpha / settings.r
        self.dropout = settings.dropout

    def forward(self, x: Any) -> Any:
        """(..., in_features) to (..., out_features), in the type of `x`."""
        y = self.base(x)
        if self.dropout:
            x = functional.dropout(x, self.dropout, self.training)
        change = self.lora_B(self.lora_A(x.to(self.lora_A.weight.dtype)))
        return y + (self.scale * change).to(y.dtype)

    def merged(self) -> Any:
        """The base layer, with the change added to its weights."""
        with torch.no_grad():
            weight = self.base.weight
            change = self.scale * (self.lora_B.weight @ self.lora_A.weight)
            weight.copy_(weight.float() + change)
        self.base.weight.requires_grad_(True)
        if self.base.bias is not None:
            self.base.bias.requires_grad_(True)
        return self.base


def attach(model: Decoder, settings: LoraSettings, seed: int = 0) -> Decoder:
    """Freeze a decoder and put adapters around its target layers.

    Returns:
        The same decoder.
    """
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parent, name, layer in list(_layers(model, settings.targets)):
        adapted = LoraLinear(layer, settings)
        bound = 1 / math.sqrt(layer.in_features)  # PEFT's: Kaiming's uniform with a = sqrt(5)
        with torch.no_grad():
            adapted.lora_A.weight.uniform_(-bound, bound, generator=generator)
        setattr(parent, name, adapted)
    return model


def merge(model: Decoder) -> Decoder:
    """Add the adapters to the weights and take them out; the same decoder, trainable again."""
    for parent, name, layer in list(_adapters(model)):
        setattr(parent, name, layer.merged())
    return model.requires_grad_(True)  # type: ignore[no-any-return]


def save_adapter(model: Decoder, folder: Path, settings: LoraSettings, base: str) -> None:
    """Write the adapters of a decoder as PEFT does.

    Args:
        model: has adapters.
        folder: is made where it is missing.
        settings: that they were attached with.
        base: the model that they belong to, for PEFT's configuration.

    Raises:
        UserError: safetensors is not installed.
    """
    save = required("safetensors.torch", purpose=_PURPOSE).save_file
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {_theirs(name): one.detach() for name, one in _trained(model)}
    save(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": settings.r,
        "lora_alpha": settings.alpha,
        "target_modules": list(settings.targets),
        "lora_dropout": settings.dropout,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_adapter(model: Decoder, folder: Path) -> Decoder:
    """Put the adapters of a folder around the layers of a decoder.

    Raises:
        ConfigError: the folder holds none, or they belong to a model of another shape.
        UserError: safetensors is not installed.
    """
    path, data = folder / CONFIG, read_json(folder / CONFIG)
    if data.get("peft_type") != "LORA" or data.get("bias", "none") != "none":
        raise ConfigError(f"{path}: only LoRA without biases is supported")
    refused = [key for key in ("use_rslora", "use_dora", "fan_in_fan_out") if data.get(key)]
    if refused:
        raise ConfigError(f"{path}: {refused[0]} is not supported")
    try:
        settings = LoraSettings.model_validate(
            {
                "r": data.get("r"),
                "alpha": data.get("lora_alpha"),
                "targets": data.get("target_modules"),
                "dropout": data.get("lora_dropout", 0.0),
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path}: {first['loc'][0]}: {first['msg']}") from None
    safetensors = required("safetensors.torch", purpose=_PURPOSE)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ConfigError(f"{weights} is missing")
    found = safetensors.load_file(weights)
    attach(model, settings)
    wanted = {_theirs(name): parameter for name, parameter in _trained(model)}
    if {name: one.shape for name, one in wanted.items()} != {
        name: one.shape for name, one in found.items()
    }:
        raise ConfigError(f"{weights}: belongs to a model of another shape, or to other layers")
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(found[name])
    return model


def _theirs(name: str) -> str:
    return _PREFIX + published(name)


def _trained(model: Decoder) -> Iterator[tuple[str, Any]]:
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            yield name, parameter


def _layers(model: Decoder, targets: tuple[str, ...]) -> Iterator[tuple[Any, str, Any]]:
    for module in model.layers.modules():
        for name, child in module.named_children():
            if name in targets and isinstance(child, nn.Linear):
                yield module, name, child


def _adapters(model: Decoder) -> Iterator[tuple[Any, str, LoraLinear]]:
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, LoraLinear):
                yield module, name, child
