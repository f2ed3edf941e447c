"""torch, for the modules of this package that cannot do without; others never import this one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from breeder.errors import UserError


def _torch() -> Any:
    try:
        return import_module("torch")
    except ImportError:
        raise UserError("training needs torch; run: pip install 'breeder[torch]'") from None


torch: Any = _torch()
"""The module; untyped, so that types are checked the same with torch and without."""
