"""torch, for the modules of this package that cannot do without; others never import this one."""

from __future__ import annotations

from typing import Any

from breeder.extras import required

torch: Any = required("torch", purpose="a model")
"""The module; untyped, so that types are checked the same with torch and without."""

functional: Any = torch.nn.functional
"""`torch.nn.functional`."""
