"""Operations of a decoder that PyTorch has no function for.

Both can be overridden as PyTorch's own functions are (`torch.overrides`): a mode that is active
gets them as `func`, so kernels can be swapped in without touching a model.
"""

from __future__ import annotations

from typing import Any

from breeder.models.pytorch import functional, torch

_overridden = torch.overrides.has_torch_function
_override = torch.overrides.handle_torch_function


def rotate(x: Any, cos: Any, sin: Any) -> Any:
    """Rotary position embedding (Su et al., 2021, arXiv:2104.09864), halves paired (GPT-NeoX).

    Elements i and i + width/2 of a head are the coordinates of a point that is turned by the angle
    of its position and pair.

    Args:
        x: (batch, row, head, width).
        cos: of the angles, (row, width/2) or (batch, row, width/2).
        sin: likewise.

    Returns:
        A tensor like `x`.
    """
    if _overridden((x, cos, sin)):
        return _override(rotate, (x, cos, sin), x, cos, sin)
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype).unsqueeze(-2), sin.to(x.dtype).unsqueeze(-2)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def swiglu(gate: Any, up: Any) -> Any:
    """SwiGLU's nonlinearity, silu(gate) * up (Shazeer, 2020, arXiv:2002.05202), elementwise."""
    if _overridden((gate, up)):
        return _override(swiglu, (gate, up), gate, up)
    return functional.silu(gate) * up
