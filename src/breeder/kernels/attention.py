"""Attention as kernels compute it: cases, strided inputs, a float64 reference, error bounds.

out[i] = sum over j of p[i, j] * v[j], p = softmax over j of scale * (q[i] . k[j]), for every
batch and head; with a causal mask only keys j <= i take part. Several heads of queries may share a
head of keys and values (Ainslie and others, "GQA: training generalized multi-query transformer
models from multi-head checkpoints", 2023). The logarithm of each row's sum of exponentials comes
with it, since a backward pass needs it (Dao and others, "FlashAttention", 2022).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from breeder.kernels.formats import BFLOAT16, FLOAT32, Format
from breeder.kernels.inputs import Inputs
from breeder.kernels.kernel import Argument, Kernel, Output
from breeder.kernels.tolerance import Expected, Tolerance

Array = np.ndarray[Any, Any]
Layout = Literal["bhtd", "bthd", "packed"]
Kind = Literal["normal", "large", "equal", "rising", "falling"]

SIZES = ("int64", "int64", "int64", "int64", "int64", "int64", "int64", "float32")
"""batch, heads, kv_heads, queries, keys, width, causal, scale."""

_UNUSED_HEADS = 2  # of a packed layout: they hold NaN, which must not be read into results
_ROWS = 256  # of queries whose scores against all keys the reference holds at once
_EPSILON = float(np.finfo(np.float32).eps)


class Case(NamedTuple):
    """What one call attends to.

    Attributes:
        batch, heads, kv_heads: `heads` of queries, a multiple of `kv_heads` of keys and values.
        queries, keys: rows per head; at least one key.
        width: elements per row.
        causal: whether query i sees keys 0 to i only.
        layout: order of batch, head, row and element in memory; `packed` is `bthd` with heads
            of something else between those of one row and the next.
        kind: what the logits look like; `rising` and `falling` along the keys by far more than
            an exponential can take.
    """

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    width: int
    causal: bool = True
    layout: Layout = "bhtd"
    kind: Kind = "normal"

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of queries and of keys: what tells searched shapes from held-out ones."""
        return self.queries, self.keys

    @property
    def function(self) -> str:
        """Empty: a task's program has one function."""
        return ""

    def __str__(self) -> str:
        shared = f"/{self.kv_heads}" if self.kv_heads != self.heads else ""
        keys = f" of {self.keys} keys" if self.keys != self.queries else ""
        words = [
            f"{self.batch} x {self.heads}{shared} heads x {self.queries}{keys} x {self.width}",
            "causal" if self.causal else "full",
            *([self.layout] if self.layout != "bhtd" else []),
            *([self.kind] if self.kind != "normal" else []),
        ]
        return " ".join(words)


class Tensors(NamedTuple):
    """Queries, keys and values, float32 of (batch, head, row, element), and the scale."""

    q: Array
    k: Array
    v: Array
    scale: float


def tensors(inputs: Inputs, case: Case, form: Format) -> Tensors:
    """Draw what a case attends to: numbers of the format."""
    scale = np.float32(inputs.rng.choice([1.0, 0.5]) / math.sqrt(case.width))
    size = inputs.magnitude(0.5, 2.0) * (60.0 if case.kind == "large" else 1.0)
    q = inputs.normal(case.batch, case.heads, case.queries, case.width, scale=size)
    k = inputs.normal(case.batch, case.kv_heads, case.keys, case.width, scale=size)
    spread = inputs.magnitude(1e-2, 1e2)
    v = inputs.normal(case.batch, case.kv_heads, case.keys, case.width, scale=spread)
    v += np.float32(spread * inputs.rng.uniform(-1.0, 1.0))
    if case.kind == "equal":
        k[:] = k[:, :, :1]
    elif case.kind in ("rising", "falling"):
        # Along the first element logits then run through about +-200 over the keys.
        ramp = np.linspace(-200.0, 200.0, case.keys, dtype=np.float32)
        q[..., 0] = 4.0
        k[..., 0] += (ramp if case.kind == "rising" else -ramp) / (4.0 * scale)
    q, k, v = (form.decode(form.encode(one)) for one in (q, k, v))
    return Tensors(q, k, v, float(scale))


def sizes(case: Case, scale: float) -> tuple[Any, ...]:
    """The arguments that `SIZES` declares."""
    return (*case[:6], int(case.causal), scale)


def draw(inputs: Inputs, case: Case, form: Format = FLOAT32) -> Sequence[Argument]:
    """The arguments of one forward call, in the order of the kernel's signature."""
    q, k, v, scale = tensors(inputs, case, form)
    stored = [laid_out(form.encode(one), case.layout, form) for one in (q, k, v)]
    out, steps = output(q.shape, case.layout, form)
    strides = [*(strides_of(one.shape, case.layout) for one in stored), steps]
    sums = Output((case.batch, case.heads, case.queries))
    return *stored, out, sums, np.array(strides, np.int64).ravel(), *sizes(case, scale)


def reference(case: Case, arguments: Sequence[Any], form: Format = FLOAT32) -> Sequence[Expected]:
    """`out` in its layout and `logsumexp` in float64, with the error that float32 must make.

    With u = epsilon, A_j = scale * |q| . |k_j| and random roundings (Higham and Mary, "A new
    approach to probabilistic rounding error analysis", 2019), a logit of width w is off by
    0.3 u A_j (standard deviation) for normal numbers, and by 0.3 sqrt(w) u A_j when the first
    product is by far the largest; five of the latter are allowed. Logits err independently of each
    other, so the root of the sum of (p_j A_j (v_j - out))^2 is what reaches `out`. Exponentials and
    products are off by a few u of the sum of p |v|, the sums over n keys by about sqrt(n) u / 3 of
    what is summed; where values cancel, the few u of the sum of p |v| cover that, else the term in
    |out|. Weights below u of the whole may vanish in a sum one by one, which is no random error.
    Weights rounded to float16 or bfloat16 (5e-4, 4e-3) are refused, and logits of such operands.

    In bfloat16 results may be rounded, and weights once, independently of each other; sums, logits
    and exponentials may not, see `rounded`.
    """
    q, k, v = (loaded(one, case, form).astype(float) for one in arguments[:3])
    scale = float(np.float32(arguments[-1]))
    out = np.empty((case.batch, case.heads, case.queries, case.width))
    out_scale = np.empty_like(out)
    lse = np.empty(out.shape[:3])
    lse_scale = np.empty_like(lse)
    group = case.heads // case.kv_heads
    for b, h in np.ndindex(case.batch, case.heads):
        for begin in range(0, case.queries, _ROWS):
            rows = slice(begin, min(begin + _ROWS, case.queries))
            last = min(case.keys, rows.stop) if case.causal else case.keys
            keys, values = k[b, h // group, :last], v[b, h // group, :last]
            mask = np.arange(last) > np.arange(begin, rows.stop)[:, None] if case.causal else None
            one = _rows(q[b, h, rows] * scale, keys, values, mask, form)
            out[b, h, rows], out_scale[b, h, rows] = one.out, one.out_scale
            lse[b, h, rows], lse_scale[b, h, rows] = one.lse, one.lse_scale
    order = output_axes(case.layout)
    # Exponentials may stop at the smallest normal number where the formula goes on towards zero,
    # and products below it may vanish: matrix tiles have no subnormal numbers (Intel, "Architecture
    # instruction set extensions programming reference", TDPBF16PS).
    vanishing = case.keys * max(float(np.abs(v).max(initial=0.0)), 1.0)
    return [
        expected("out", out.transpose(order), out_scale.transpose(order), vanishing, form),
        expected("logsumexp", lse, lse_scale, 1.0, form),
    ]


def signature_of(form: Format) -> tuple[str, ...]:
    """q, k, v, out, logsumexp, strides of the first four, and `SIZES`."""
    array = f"{form.stored}[]"
    return array, array, array, f"inout {array}", "inout float32[]", "int64[]", *SIZES


def forward(form: Format) -> Kernel[Case]:
    """The forward pass in a number format."""
    suffix = "" if form is FLOAT32 else "_bf16"
    return Kernel(
        f"flash_attention_forward{suffix}",
        functools.partial(draw, form=form),
        functools.partial(reference, form=form),
    )


FUNCTION, SIGNATURE = "flash_attention_forward", signature_of(FLOAT32)
KERNEL, KERNEL_BF16 = forward(FLOAT32), forward(BFLOAT16)


class _Rows(NamedTuple):
    out: Array
    out_scale: Array
    lse: Array
    lse_scale: Array


def _rows(q: Array, k: Array, v: Array, mask: Array | None, form: Format) -> _Rows:
    """Attention of some rows of queries, already scaled, and what its errors are measured in."""
    scores = q @ k.T
    if mask is not None:
        scores[mask] = -np.inf
    top = scores.max(axis=1, keepdims=True)
    p = np.exp(scores - top)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    out = p @ v
    spread = np.square(p * (np.abs(q) @ np.abs(k).T))
    weight = spread.sum(axis=1, keepdims=True)
    moved = spread @ (v * v) - 2.0 * out * (spread @ v) + out * out * weight
    count = math.sqrt(len(k))
    small = np.where(p < _EPSILON, p / _EPSILON, 0.0)
    lost = small.sum(axis=1, keepdims=True)
    logits = 4.0 + 1.5 * math.sqrt(k.shape[1])
    out_scale = (5.0 * p + small) @ np.abs(v) + (1.5 * count + lost) * np.abs(out)
    out_scale += logits * np.sqrt(np.maximum(moved, 0.0))
    lse = top + np.log(total)
    lse_scale = 4.0 + count + lost + 2.0 * np.abs(lse) + logits * np.sqrt(weight)
    if form is not FLOAT32:
        squares = np.square(p)
        out_scale += rounded(form, out, squares @ np.square(v))
        lse_scale += rounded(form, np.zeros(1), squares.sum(axis=1, keepdims=True))
    return _Rows(out, out_scale, lse[:, 0], lse_scale[:, 0])


def rounded(form: Format, result: Array, squares: Array) -> Array:
    """What rounding a result, and each term of its sum, to a format makes, in float32 epsilons.

    The terms' errors are independent, up to one unit each and less than half of it on average
    (root mean square): hence 2.5 units of the root of the sum of their squares.

    Args:
        form: the format.
        result: what is rounded in the end.
        squares: sums of the squares of what was rounded before.
    """
    return (form.unit / _EPSILON) * (1.02 * np.abs(result) + 2.5 * np.sqrt(squares))


def expected(name: str, value: Array, scale: Array, tiny: float, form: Format) -> Expected:
    """What a result must be, with the norm of its error held to less than that of the bounds.

    Errors average out over many elements: in float32 to a third. Those of bfloat16, which come from
    few roundings, only to two thirds. Where everything cancels, elements alone are compared.
    """
    length = math.sqrt(float(np.square(value).sum()))
    absolute = 16.0 * float(np.finfo(np.float32).tiny) * max(tiny, 1.0)
    share = 1 / 3 if form is FLOAT32 else 2 / 3
    norm = _EPSILON * share * math.sqrt(float(np.square(scale).sum()))
    tolerance = Tolerance(_EPSILON, absolute, norm / length if length else None)
    return Expected(name, value, tolerance, scale)


_AXES = {"bhtd": (0, 1, 2, 3), "bthd": (0, 2, 1, 3)}


def laid_out(tensor: Array, layout: Layout, form: Format) -> Array:
    """Lay the elements of a tensor of (batch, head, row, element) out in memory."""
    if layout != "packed":
        return np.ascontiguousarray(tensor.transpose(_AXES[layout]))
    batch, heads, rows, width = tensor.shape
    nothing = form.encode(np.full(1, np.nan, np.float32))
    whole = np.full((batch, rows, heads + _UNUSED_HEADS, width), nothing, tensor.dtype)
    whole[:, :, :heads] = tensor.transpose(_AXES["bthd"])
    return whole


def loaded(stored: Array, case: Case, form: Format = FLOAT32) -> Array:
    """The tensor of (batch, head, row, element) that lies in `stored`, as numbers."""
    if case.layout == "packed":
        stored = stored[:, :, : stored.shape[2] - _UNUSED_HEADS]
    return form.decode(stored.transpose(output_axes(case.layout)))


def output_axes(layout: Layout) -> tuple[int, ...]:
    """The order of axes of what is written: nothing lies between the heads of a packed layout."""
    return _AXES["bthd" if layout == "packed" else layout]


def output(
    shape: tuple[int, ...], layout: Layout, form: Format
) -> tuple[Output, tuple[int, int, int]]:
    """An output for a tensor of (batch, head, row, element), and its strides."""
    stored = tuple(shape[axis] for axis in output_axes(layout))
    return Output(stored, form.stored), strides_of(stored, layout)


def strides_of(shape: tuple[int, ...], layout: Layout) -> tuple[int, int, int]:
    """Elements from one batch, head and row to the next, of an array as it is stored."""
    step = shape[2] * shape[3]
    if layout == "bhtd":
        return shape[1] * step, step, shape[3]
    return shape[1] * step, shape[3], step
