"""What a kernel's output may differ by from a reference computed in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from breeder.kernels.formats import BFLOAT16

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an output may be from the float64 reference; both bounds must hold.

    Attributes:
        relative: of each element, in units of its scale.
        absolute: of each element, on top of that.
        norm: of the whole array: L2 norm of the difference over that of the reference. None where
            cancellation leaves a reference too small to compare with.
    """

    relative: float
    absolute: float
    norm: float | None


EXACT = Tolerance(0.0, 0.0, None)
"""For integers."""


def rounding(dtype: DTypeLike, *, terms: int = 1) -> Tolerance:
    """What honest arithmetic in `dtype` needs, in any order of summation, and little more.

    The worst case of a sum of n terms grows like n, what happens grows like sqrt(n) (Higham and
    Mary, "A new approach to probabilistic rounding error analysis", 2019). So float32 sums may be
    reassociated at will, while half-precision operands (relative error 4e-3 in bfloat16, 5e-4 in
    float16) and an unrefined reciprocal square root (4e-4 or 6e-5) are out of bounds.

    The constants follow from RMS normalisation, x / sqrt(s / n + e) * w, with u = epsilon / 2. Two
    multiplications give 2 u. All elements of a row share the factor: its root and reciprocal give
    2 u, and half of what lies under the root, which is 3 u (squares, division, e) and the error of
    the sum. So an element is off by at most 5.5 u = 2.75 epsilon and half of the sum's error. As
    errors of the factor do not average out within a row, the norm of few elements can be off by as
    much: below 3 it would refuse honest kernels. Summing n positive terms of like size one after
    the other errs by about sqrt(n) u / 3 (standard deviation, roundings of at most u / sqrt(3),
    each weighted by the part summed so far), half of it being sqrt(n) epsilon / 12: the norm allows
    three of those, an element six. In 350,000 rows of 1 to 20,000 columns, summed so, no element
    used more than half of its bound and no row more than two thirds of the norm's.

    Args:
        dtype: what outputs are stored and computed in; integers must be exact.
        terms: length of the longest sum behind an element.
    """
    kind = np.dtype(dtype)
    if kind.kind != "f":
        return EXACT
    info = np.finfo(kind)
    epsilon, growth = float(info.eps), math.sqrt(max(terms, 1))
    return Tolerance(
        relative=epsilon * (4.0 + growth / 2),
        absolute=16.0 * float(info.tiny),
        norm=epsilon * (3.0 + growth / 4),
    )


def elementwise(dtype: DTypeLike, *, terms: int = 1) -> Tolerance:
    """The bound of `rounding` on each element, and none on the norm.

    For outputs whose terms cancel, measured against an `Expected.scale` that says how large these
    terms are: the norm of what is left says nothing about the rounding.
    """
    return replace(rounding(dtype, terms=terms), norm=None)


@dataclass(frozen=True, slots=True)
class Expected:
    """What one output array must hold.

    Attributes:
        name: of the output, for messages.
        value: the reference, float64 (or integers); its shape is that of the output. Where it is
            NaN or infinite, the output must be the same.
        tolerance: how far from it the output may be.
        scale: what the error of each element is measured against, for instance the sum of the
            absolute values of the terms of its sum; None for the element's own magnitude.
    """

    name: str
    value: Array
    tolerance: Tolerance
    scale: Array | None = None


def disagreement(output: Array, expected: Expected) -> str:
    """Say how `output` breaks its bounds, naming the worst element; empty when it keeps them.

    Args:
        output: the elements that the kernel wrote, in the shape of `expected.value` or flat; uint16
            where numbers are expected are the bits of bfloat16.
        expected: reference and tolerance.
    """
    reference = expected.value
    if output.size != reference.size:
        return f"{expected.name} has {output.size} elements instead of {reference.size}"
    if reference.size == 0:
        return ""
    got = output.reshape(reference.shape)
    if reference.dtype.kind != "f":
        return _unequal(got, expected)
    got = BFLOAT16.decode(got).astype(np.float64)
    return _special(got, expected) or _beyond(got, expected)


def _unequal(got: Array, expected: Expected) -> str:
    wrong = got != expected.value
    if not wrong.any():
        return ""
    worst = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return (
        f"{expected.name}{_place(worst)} is {got[worst]} instead of {expected.value[worst]} "
        f"({int(wrong.sum())} of {wrong.size} elements are wrong)"
    )


def _special(got: Array, expected: Expected) -> str:
    """Compare NaN and infinities, which have no distance."""
    reference = expected.value
    finite = np.isfinite(reference)
    same = (got == reference) | (np.isnan(got) & np.isnan(reference))
    wrong = np.where(finite, ~np.isfinite(got), ~same)
    if not wrong.any():
        return ""
    first = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return (
        f"{expected.name}{_place(first)} is {got[first]:.6g} instead of {reference[first]:.6g} "
        f"({int(wrong.sum())} of {wrong.size} elements are wrong so)"
    )


def _beyond(got: Array, expected: Expected) -> str:
    finite = np.isfinite(expected.value)
    reference = np.where(finite, expected.value, 0.0)
    error = np.abs(np.where(finite, got, 0.0) - reference)
    scale = np.abs(reference) if expected.scale is None else np.abs(expected.scale)
    scale = np.where(finite, np.broadcast_to(scale, reference.shape), 0.0)
    tolerance = expected.tolerance
    bound = tolerance.relative * scale + tolerance.absolute
    wrong = ~(error <= bound)
    if wrong.any():
        worst = np.unravel_index(int(np.argmax(error - bound)), wrong.shape)
        return (
            f"{expected.name}{_place(worst)} is {got[worst]:.9g} instead of {reference[worst]:.9g}:"
            f" off by {error[worst]:.2g}, {bound[worst]:.2g} is allowed "
            f"({int(wrong.sum())} of {wrong.size} elements are off)"
        )
    return _norm(error, reference, expected)


def _norm(error: Array, reference: Array, expected: Expected) -> str:
    tolerance = expected.tolerance
    if tolerance.norm is None:
        return ""
    # Not by BLAS: its threads would spin beside the next timed batch.
    distance = math.sqrt(float(np.square(error).sum()))
    length = math.sqrt(float(np.square(reference).sum()))
    allowed = tolerance.norm * length + tolerance.absolute * math.sqrt(error.size)
    if distance <= allowed:
        return ""
    return (
        f"{expected.name} differs by {distance:.2g} in L2 norm from a reference of norm "
        f"{length:.3g}: {allowed:.2g} is allowed"
    )


def _place(index: tuple[Any, ...]) -> str:
    return "[" + ", ".join(str(int(i)) for i in index) + "]"
