"""Imports of optional packages: what is missing is one line that names the extra to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from breeder.errors import UserError


def required(module: str, *, purpose: str, extra: str = "torch") -> Any:
    """Import a module that an extra brings.

    Args:
        module: its dotted name.
        purpose: what needs it, as the subject of a sentence.
        extra: which extra of breeder brings it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UserError(f"{purpose} needs {package}; run: pip install 'breeder[{extra}]'") from None
