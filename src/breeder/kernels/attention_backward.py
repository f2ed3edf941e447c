"""Gradients of attention as kernels compute them: inputs, a float64 reference, error bounds.

With s = scale * (q[i] . k[j]), p = exp(s - logsumexp[i]) and delta[i] = grad_out[i] . out[i], where
`out` and `logsumexp` are what a forward pass has left (Dao and others, "FlashAttention", 2022):

    t = p * (grad_out[i] . v[j] - delta[i])
    grad_q[i] = scale * sum over j of t k[j]
    grad_k[j] = scale * sum over i of t q[i]       both also over the heads of queries
    grad_v[j] = sum over i of p grad_out[i]        that share a head of keys
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from breeder.kernels.attention import (
    SIZES,
    Array,
    Case,
    expected,
    laid_out,
    loaded,
    output,
    output_axes,
    rounded,
    sizes,
    strides_of,
    tensors,
)
from breeder.kernels.formats import BFLOAT16, FLOAT32, Format
from breeder.kernels.inputs import Inputs
from breeder.kernels.kernel import Argument, Kernel
from breeder.kernels.tolerance import Expected

_ROWS = 256  # of queries whose scores against all keys are held at once


def signature_of(form: Format) -> tuple[str, ...]:
    """q, k, v, out, grad_out, logsumexp, three gradients, strides of the other eight, sizes."""
    array = f"{form.stored}[]"
    return (*[array] * 5, "float32[]", *[f"inout {array}"] * 3, "int64[]", *SIZES)


def draw(inputs: Inputs, case: Case, form: Format) -> Sequence[Argument]:
    """The arguments of one call, with what a forward pass in float32 makes of its inputs."""
    q, k, v, scale = tensors(inputs, case, form)
    out, sums = attended(case, q, k, v, scale)
    grad = inputs.normal(*q.shape, scale=inputs.magnitude(1e-4, 1e1))
    stored = [laid_out(form.encode(one), case.layout, form) for one in (q, k, v, out, grad)]
    grads = [output(one.shape, case.layout, form) for one in (q, k, v)]
    strides = [
        *(strides_of(one.shape, case.layout) for one in stored),
        *(steps for _, steps in grads),
    ]
    return (
        *stored, sums, *(one for one, _ in grads), np.array(strides, np.int64).ravel(),
        *sizes(case, scale),
    )  # fmt: skip


def attended(case: Case, q: Array, k: Array, v: Array, scale: float) -> tuple[Array, Array]:
    """Results of attention and the logarithms of its sums, in float32."""
    out, sums = np.empty_like(q), np.empty(q.shape[:3], np.float32)
    group = case.heads // case.kv_heads
    for b, h in np.ndindex(case.batch, case.heads):
        for rows, hidden in _blocks(case):
            scores = (q[b, h, rows] * np.float32(scale)) @ k[b, h // group].T
            scores[hidden] = -np.inf
            top = scores.max(axis=1, keepdims=True)
            np.exp(scores - top, out=scores)
            total = scores.sum(axis=1, keepdims=True)
            out[b, h, rows] = (scores @ v[b, h // group]) / total
            sums[b, h, rows] = (top + np.log(total))[:, 0]
    return out, sums


def reference(case: Case, arguments: Sequence[Any], form: Format) -> Sequence[Expected]:
    """The gradients in their layouts in float64, with the error that arithmetic must make.

    Logits err as in the forward pass, independently of each other; products of gradients and values
    likewise; `delta` errs for a whole row at a time. Each of these reaches the gradients as a sum
    of independent terms, hence by the root of the sum of their squares. What remains are the
    errors of products and sums, as in the forward pass. See `breeder.kernels.attention.reference`.
    """
    q, k, v, out, grad = (loaded(one, case, form).astype(float) for one in arguments[:5])
    sums, scale = arguments[5].astype(float), float(np.float32(arguments[-1]))
    grads = [_Gradient.of(one.shape) for one in (q, k, v)]
    group = case.heads // case.kv_heads
    for b, h in np.ndindex(case.batch, case.heads):
        g = h // group
        before = [one.value[b, g].copy() for one in grads[1:]]
        for rows, hidden in _blocks(case):
            some = _Rows(q[b, h, rows], k[b, g], v[b, g], out[b, h, rows], grad[b, h, rows])
            _add(grads, (b, h, g, rows), some, sums[b, h, rows, None], (scale, hidden))
        for one, old in zip(grads[1:], before, strict=True):
            one.parts[b, g] += np.square(one.value[b, g] - old)
    counts = (case.keys, case.queries * group, case.queries * group)
    order = output_axes(case.layout)
    # Exponentials may stop at the smallest normal number where the formula goes on towards zero,
    # and products below it may vanish: matrix tiles have no subnormal numbers (Intel, "Architecture
    # instruction set extensions programming reference", TDPBF16PS).
    most = [float(np.abs(one).max(initial=0.0)) for one in (q, k, v, out, grad)]
    change = abs(scale) * case.width * most[4] * (most[2] + most[3])
    vanishing = (change * most[1], change * most[0], most[4])
    results = []
    for n, (one, factor) in enumerate(zip(grads, (scale, scale, 1.0), strict=True)):
        value, bound = one.value * factor, one.bound(counts[n], form) * abs(factor)
        tiny = counts[n] * max(vanishing[n], 1.0)
        results.append(
            expected(f"grad_{'qkv'[n]}", value.transpose(order), bound.transpose(order), tiny, form)
        )
    return results


class _Gradient(NamedTuple):
    """A sum of terms, and what its error follows from; all of the gradient's shape.

    Attributes:
        value: the sum.
        size: of the absolute values of the terms.
        squares: sum of the squares of the terms.
        parts: sum of the squares of what each head of queries brings, where several share it: this
            may be rounded, too.
        errors: sum of the squares of the terms' own errors, in epsilons.
        shared: sum of the squares of errors that the terms of a row of queries have in common.
    """

    value: Array
    size: Array
    squares: Array
    parts: Array
    errors: Array
    shared: Array

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> _Gradient:
        return cls(*(np.zeros(shape) for _ in range(6)))

    def add(self, place: Any, terms: Array, errors: Array, factors: Array, shared: Array) -> None:
        """Add terms (results x summed) times factors (summed x width); errors are the terms'."""
        self.value[place] += terms @ factors
        self.size[place] += np.abs(terms) @ np.abs(factors)
        squares = np.square(factors)
        self.squares[place] += np.square(terms) @ squares
        self.errors[place] += np.square(errors) @ squares
        self.shared[place] += shared

    def bound(self, count: int, form: Format) -> Array:
        """Epsilons of float32 that an element may be off by, for sums of `count` terms."""
        bound = 5.0 * self.size + 1.5 * math.sqrt(count) * np.abs(self.value)
        bound += np.sqrt(self.errors) + np.sqrt(self.shared)
        if form is not FLOAT32:
            bound += rounded(form, self.value, self.squares + self.parts)
        return bound


class _Rows(NamedTuple):
    """Some rows of queries of a head, and all of its keys."""

    q: Array
    k: Array
    v: Array
    out: Array
    grad: Array


def _add(
    grads: Sequence[_Gradient],
    place: tuple[int, int, int, slice],
    some: _Rows,
    sums: Array,
    options: tuple[float, Array],
) -> None:
    """Add what some rows of queries bring to the gradients; `options`: scale, hidden."""
    (b, h, g, rows), (scale, hidden) = place, options
    q, k, v, out, grad = some
    logits = scale * (q @ k.T)
    logits[hidden] = -np.inf
    p = np.exp(logits - sums)
    away = np.where(hidden, 0.0, logits - sums)
    width = 4.0 + 1.5 * math.sqrt(q.shape[1])
    # The relative error of a weight: of its logit, of what is subtracted, of the exponential.
    relative = width * abs(scale) * (np.abs(q) @ np.abs(k).T) + 2.0 * np.abs(away) + 4.0
    product, delta = grad @ v.T, (grad * out).sum(axis=1, keepdims=True)
    t = p * (product - delta)
    errors = np.abs(t) * relative + p * width * (np.abs(grad) @ np.abs(v).T)
    # A logarithm of a sum is subtracted with its own rounding, which a row has in common.
    common = np.abs(sums)
    delta_error = width * (np.abs(grad) * np.abs(out)).sum(axis=1, keepdims=True)
    shared_q = np.square(np.abs(t @ k) * common + np.abs(p @ k) * delta_error)
    grads[0].add((b, h, rows), t, errors, k, shared_q)
    of_rows = np.square(np.abs(t) * common + p * delta_error).T
    grads[1].add((b, g), t.T, errors.T, q, of_rows @ np.square(q))
    grads[2].add((b, g), p.T, (p * relative).T, grad, np.square(p * common).T @ np.square(grad))


def _blocks(case: Case) -> list[tuple[slice, Array]]:
    """Some rows of queries at a time, and which keys are hidden from each (rows x keys)."""
    blocks = []
    for begin in range(0, case.queries, _ROWS):
        rows = slice(begin, min(begin + _ROWS, case.queries))
        hidden = np.zeros((rows.stop - begin, case.keys), bool)
        if case.causal:
            hidden = np.arange(case.keys) > np.arange(begin, rows.stop)[:, None]
        blocks.append((rows, hidden))
    return blocks


def backward(form: Format) -> Kernel[Case]:
    """The backward pass in a number format."""
    suffix = "" if form is FLOAT32 else "_bf16"
    return Kernel(
        f"flash_attention_backward{suffix}",
        functools.partial(draw, form=form),
        functools.partial(reference, form=form),
    )


KERNEL, KERNEL_BF16 = backward(FLOAT32), backward(BFLOAT16)
