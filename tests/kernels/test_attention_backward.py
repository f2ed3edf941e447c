"""Gradients of attention: the float64 reference, and how tight its bounds are."""

import numpy as np
import pytest

from breeder.kernels import Inputs, disagreement
from breeder.kernels.attention import Case
from breeder.kernels.attention_backward import KERNEL, KERNEL_BF16, attended, draw, reference
from breeder.kernels.formats import BFLOAT16, FLOAT32

CASES = [
    Case(2, 4, 2, 7, 7, 8),
    Case(1, 2, 2, 5, 30, 16, causal=False, layout="bthd"),
    Case(2, 3, 1, 17, 9, 4, layout="packed"),
    Case(1, 2, 1, 11, 11, 8, kind="rising"),
]


def loss(case, q, k, v, grad, scale):
    """The product of results and their gradient, by the formula, in float64."""
    hidden = np.arange(case.keys) > np.arange(case.queries)[:, None]
    total = 0.0
    for b, h in np.ndindex(case.batch, case.heads):
        g = h * case.kv_heads // case.heads
        scores = scale * (q[b, h] @ k[b, g].T)
        if case.causal:
            scores[hidden] = -np.inf
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        total += (grad[b, h] * (weights @ v[b, g])).sum()
    return total


def stored(case, tensor):
    return tensor if case.layout == "bhtd" else tensor.transpose(0, 2, 1, 3)


def tensors_of(case, arguments):
    """q, k, v and the gradient of the result as (batch, head, row, element), in float64."""
    heads = (case.heads, case.kv_heads, case.kv_heads, case.heads)
    found = []
    for array, count in zip((*arguments[:3], arguments[4]), heads, strict=True):
        tensor = stored(case, array[:, :, :count] if case.layout == "packed" else array)
        found.append(tensor.astype(float))
    return found


@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_the_reference_is_the_derivative(case):
    arguments = draw(Inputs(1), case, FLOAT32)
    *tensors, grad = tensors_of(case, arguments)
    scale, rng = float(np.float32(arguments[-1])), np.random.default_rng(1)
    expected = reference(case, arguments, FLOAT32)
    for n in range(3):
        direction = rng.standard_normal(tensors[n].shape)
        moved = [[*tensors], [*tensors]]
        step = 1e-5
        moved[0][n] = tensors[n] + step * direction
        moved[1][n] = tensors[n] - step * direction
        slope = (loss(case, *moved[0], grad, scale) - loss(case, *moved[1], grad, scale)) / step / 2
        told = (stored(case, expected[n].value) * direction).sum()
        # What the forward pass left is rounded to float32.
        assert told == pytest.approx(slope, rel=1e-4, abs=1e-5 * np.abs(expected[n].scale).max())


@pytest.mark.parametrize("kernel", [KERNEL, KERNEL_BF16], ids=lambda one: one.function)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_rounding_to_the_format_passes_and_to_fewer_bits_does_not(case, kernel):
    form = BFLOAT16 if kernel is KERNEL_BF16 else FLOAT32
    for expected in reference(case, draw(Inputs(3), case, form), form):
        numbers = expected.value.astype(np.float32)
        assert disagreement(form.encode(numbers), expected) == ""
        if case.kind == "normal":
            fewer = 0xFFFFF000 if form is FLOAT32 else 0xFFF00000
            cut = (numbers.view(np.uint32) & np.uint32(fewer)).view(np.float32)
            assert disagreement(form.encode(cut), expected)


def test_a_gradient_that_cancels_is_held_to_its_terms():
    case = Case(1, 1, 1, 1, 1, 32)
    arguments = list(draw(Inputs(1), case, FLOAT32))
    arguments[3] = arguments[2].copy()  # one key has all the weight: the result is its value
    arguments[5] = np.array([[[0.0]]], np.float32)
    arguments[0][:] = 0.0
    grad_q = reference(case, arguments, FLOAT32)[0]
    assert not grad_q.value.any()
    size = np.abs(arguments[4]).max() * np.abs(arguments[2]).max() * np.abs(arguments[1])
    assert disagreement((1e-8 * size).astype(np.float32), grad_q) == ""
    assert disagreement((1e-2 * size).astype(np.float32), grad_q)


def test_sums_are_those_of_the_results():
    case = Case(1, 2, 1, 300, 40, 8)
    rng = np.random.default_rng(1)
    q, k, v = (
        rng.standard_normal((1, n, m, 8), np.float32) for n, m in ((2, 300), (1, 40), (1, 40))
    )
    out, sums = attended(case, q, k, v, 0.5)
    scores = 0.5 * (q[0, 1, 299].astype(float) @ k[0, 0].astype(float).T)
    assert sums[0, 1, 299] == pytest.approx(np.log(np.exp(scores).sum()), rel=1e-6)
    weights = np.exp(scores - sums[0, 1, 299])
    assert np.allclose(out[0, 1, 299], weights @ v[0, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [KERNEL, KERNEL_BF16], ids=lambda one: one.function)
def test_products_below_the_smallest_normal_number_may_vanish(kernel):
    form = BFLOAT16 if kernel is KERNEL_BF16 else FLOAT32
    case = Case(1, 1, 1, 200, 2, 1, causal=False)
    q, k, v = (np.ones((1, 1, n, 1), np.float32) for n in (200, 2, 2))
    k[0, 0, 1] = -79.0  # its weight is e^-80
    out, sums = attended(case, q, k, v, 1.0)
    grad = np.full(q.shape, 1e-4, np.float32)
    arguments = [form.encode(one) for one in (q, k, v, out, grad)]
    grad_v = reference(case, [*arguments, sums, 1.0], form)[2]
    value = grad_v.value.astype(np.float32)
    small = value[0, 0, 1, 0]
    assert 0 < small / 200 < np.finfo(np.float32).tiny
    value[0, 0, 1, 0] = 0.0
    assert disagreement(form.encode(value), grad_v) == ""
    value[0, 0, 1, 0] = 1e-32
    assert disagreement(form.encode(value), grad_v)
