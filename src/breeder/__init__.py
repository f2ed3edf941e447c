"""breeder: an open AlphaEvolve for the ML stack."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breeder.api import (
        Budget,
        RunResult,
        Standing,
        optimize,
        optimize_async,
        resume,
        resume_async,
        run,
        run_async,
    )

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "RunResult",
    "Standing",
    "optimize",
    "optimize_async",
    "resume",
    "resume_async",
    "run",
    "run_async",
]


def __getattr__(name: str) -> Any:
    """Import the library when it is first used: `import breeder` itself stays cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("breeder.api"), name)
