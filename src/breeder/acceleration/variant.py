"""A way to run a user's script, and what both sides of the pipe to it know."""

from __future__ import annotations

import msgspec


class GradientFile:
    """The gradients of a first step, in a file of numpy."""

    MOST = 1 << 24
    """Numbers that are kept of them."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A way to run a script.

    Attributes:
        name: for people.
        kernels: whether adopted kernels are swapped in.
        precision: of float32 matrix products; empty leaves it alone.
        fused: whether AdamW is made with `fused=True`.
        keep_memory: whether the C library keeps freed memory.
        gradients: file for the gradients of the first step.
    """

    name: str
    kernels: bool = False
    precision: str = ""
    fused: bool = False
    keep_memory: bool = False
    gradients: str = ""
