"""Checked kernels in PyTorch models: `accelerate`. torch is imported when a name is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breeder.training.acceleration import Acceleration, accelerate
    from breeder.training.operators import use_registry
    from breeder.training.registry import Choice, KernelRegistry, Key, LoadedKernel

__all__ = [
    "Acceleration",
    "Choice",
    "KernelRegistry",
    "Key",
    "LoadedKernel",
    "accelerate",
    "use_registry",
]

_MODULES = {
    "Acceleration": "acceleration",
    "accelerate": "acceleration",
    "use_registry": "operators",
    "Choice": "registry",
    "Key": "registry",
    "KernelRegistry": "registry",
    "LoadedKernel": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
