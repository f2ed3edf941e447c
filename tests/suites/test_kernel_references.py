"""The float64 references of the timed kernel tasks against other ways to the same numbers."""

import math

import numpy as np
import pytest

from breeder.evaluation.loading import load_evaluator
from breeder.kernels import Case, Inputs, Updated
from suites.kernel_programs import SUITE


def evaluator(name):
    return load_evaluator(SUITE / name, "evaluate.py")


def values(expected):
    return {one.name: one.value for one in expected}


def slope(function, x):
    """Central differences of a scalar function of an array."""
    result = np.empty_like(x)
    for index in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[index] += 1e-5
        low[index] -= 1e-5
        result[index] = (function(high) - function(low)) / 2e-5
    return result


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_softmax_rows_sum_to_one_and_keep_their_ratios(rng):
    x = rng.normal(size=(3, 7)).astype(np.float32)
    (out,) = evaluator("softmax").reference(Case((3, 7)), [x])
    assert np.allclose(out.value.sum(axis=1), 1.0, rtol=1e-12)
    difference = x[:, 0].astype(float) - x[:, 1].astype(float)
    assert np.allclose(np.log(out.value[:, 0] / out.value[:, 1]), difference, rtol=1e-12)


def test_layernorm_backward_is_the_slope_of_forward(rng):
    evaluate, case = evaluator("layernorm"), Case((4, 5))
    x, grad = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    weight, bias = rng.normal(size=5), rng.normal(size=5)

    def loss(x, weight, bias):
        drawn = [x, weight, bias, None, None, None, 4, 5, 1e-5]
        return float((values(evaluate.forward(case, drawn))["out"] * grad).sum())

    mean, rstd = evaluate.statistics(x, 1e-5)
    got = values(evaluate.backward(case, [grad, x, weight, mean.ravel(), rstd.ravel()]))
    assert np.allclose(got["grad_x"], slope(lambda a: loss(a, weight, bias), x), atol=1e-8)
    assert np.allclose(got["grad_weight"], slope(lambda a: loss(x, a, bias), weight), atol=1e-8)
    assert np.allclose(got["grad_bias"], slope(lambda a: loss(x, weight, a), bias), atol=1e-8)


def test_layernorm_rows_have_mean_0_and_variance_1():
    evaluate = evaluator("layernorm")
    x = np.array([[1.0, 2.0, 3.0, 6.0]])
    ones, zeros = np.ones(4), np.zeros(4)
    drawn = [x, ones, zeros, None, None, None, 1, 4, 0.0]
    got = values(evaluate.forward(Case((1, 4)), drawn))
    assert got["mean"].item() == 3.0
    assert got["rstd"].item() == pytest.approx(1 / math.sqrt(3.5))
    assert got["out"].var() == pytest.approx(1.0)


def test_rmsnorm_backward_is_the_slope_of_the_forward_task(rng):
    forward, case = evaluator("rmsnorm"), Case((4, 5))
    x, grad, weight = rng.normal(size=(4, 5)), rng.normal(size=(4, 5)), rng.normal(size=5)

    def loss(x, weight):
        (out,) = forward.reference(forward.Case(4, 5), [x, weight, None, 4, 5, 1e-5])
        return float((out.value * grad).sum())

    slopes = slope(lambda a: loss(a, weight), x), slope(lambda a: loss(x, a), weight)
    backward = evaluator("rmsnorm_backward")
    got = values(backward.reference(case, [grad, x, weight, None, None, 4, 5, 1e-5]))
    assert np.allclose(got["grad_x"], slopes[0], atol=1e-8)
    assert np.allclose(got["grad_weight"], slopes[1], atol=1e-8)


def test_cross_entropy_gradient_is_the_slope_of_the_losses(rng):
    evaluate, case = evaluator("cross_entropy"), Case((4, 6))
    logits, targets = rng.normal(size=(4, 6)), np.array([2, 0, -100, 5])

    def result(x):
        return values(evaluate.reference(case, [Updated(x), targets, None, 4, 6, 0.25]))

    got = result(logits)
    losses = slope(lambda a: 0.25 * float(result(a)["losses"].sum()), logits)
    assert np.allclose(got["gradient"], losses, atol=1e-9)
    assert got["losses"][2] == 0.0
    assert got["losses"][0] == pytest.approx(
        -math.log(math.exp(logits[0, 2]) / np.exp(logits[0]).sum())
    )


def test_a_target_of_probability_0_costs_infinitely_much():
    evaluate = evaluator("cross_entropy")
    logits = np.array([[0.0, -np.inf]])
    drawn = [Updated(logits), np.array([1]), None, 1, 2, 1.0]
    got = values(evaluate.reference(Case((1, 2)), drawn))
    assert got["losses"].tolist() == [np.inf]
    assert got["gradient"].tolist() == [[1.0, -1.0]]


def test_swiglu_backward_is_the_slope_of_forward(rng):
    evaluate, case = evaluator("swiglu"), Case((1, 9))
    grad, gate, up = (rng.normal(size=(1, 9)) * 3 for _ in range(3))

    def loss(gate, up):
        return float((values(evaluate.forward(case, [gate, up]))["out"] * grad).sum())

    got = values(evaluate.backward(case, [grad, gate, up]))
    assert np.allclose(got["grad_gate"], slope(lambda a: loss(a, up), gate), atol=1e-8)
    assert np.allclose(got["grad_up"], slope(lambda a: loss(gate, a), up), atol=1e-8)


def test_rope_turns_pairs_and_keeps_their_length():
    evaluate, case = evaluator("rope"), Case((1, 3, 2, 4))
    x, *whole, _out, _batch, _tokens, _heads, _half = evaluate.draw(Inputs(4), case)
    cosines, sines = (one[:, :4] for one in whole)
    both = [np.concatenate([one, one], axis=-1) for one in (cosines, sines)]
    (out,) = evaluate.reference(case, [x, *both])
    pairs = x[..., :4].astype(float) + 1j * x[..., 4:]
    turned = pairs * (cosines + 1j * sines.astype(float))[:, None, :]
    assert np.allclose(out.value[..., :4], turned.real, rtol=1e-12)
    assert np.allclose(out.value[..., 4:], turned.imag, rtol=1e-12)
    assert np.allclose(np.abs(turned), np.abs(pairs), rtol=1e-6)


def test_embedding_backward_is_the_transpose_of_looking_up(rng):
    evaluate, case = evaluator("embedding_backward"), Case((6, 4, 3))
    grad, tokens, table = rng.normal(size=(6, 3)), rng.integers(4, size=6), rng.normal(size=(4, 3))
    (out,) = evaluate.reference(case, [grad, tokens])
    assert (out.value * table).sum() == pytest.approx((grad * table[tokens]).sum())


def test_embedding_backward_without_tokens_is_0():
    evaluate = evaluator("embedding_backward")
    (out,) = evaluate.reference(Case((0, 2, 3)), [np.empty((0, 3)), np.empty(0, np.int64)])
    assert not out.value.any()


def test_the_first_step_of_adamw_has_the_length_of_the_rate():
    evaluate = evaluator("adamw")
    param, grad = np.array([1.0, 1.0]), np.array([0.5, -2.0])
    zeros = Updated(np.zeros(2)), Updated(np.zeros(2))
    drawn = [Updated(param), grad, *zeros, 2, 0.01, 0.9, 0.999, 0.0, 0.1, 1]
    got = values(evaluate.reference(Case((2,)), drawn))
    assert got["param"] == pytest.approx([0.999 - 0.01, 0.999 + 0.01])
    assert got["m"] == pytest.approx([0.05, -0.2])
    assert got["v"] == pytest.approx([0.00025, 0.004])


def test_int8_gemv_is_a_product():
    evaluate = evaluator("int8_gemv")
    weight = np.array([[1, -128], [127, 0]], np.int8)
    drawn = [weight, np.array([0.5, 2.0]), np.array([[2.0, 0.25]])]
    (out,) = evaluate.reference(Case((2, 2)), drawn)
    assert out.value.tolist() == [-15.0, 508.0]


def test_int4_gemv_unpacks_the_low_half_first():
    evaluate = evaluator("int4_gemv")
    packed = np.full((1, 32), 0x88, np.uint8)  # zeros
    packed[0, 0], packed[0, 16] = 0x89, 0xF0  # 1 and 0 in columns 0, 1; -8 and 7 in 32, 33
    x = np.zeros((1, 64))
    x[0, [0, 1, 32, 33]] = 1.0, 10.0, 100.0, 1000.0
    (out,) = evaluate.reference(Case((1, 64)), [packed, np.array([[2.0, 1.0]]), x])
    assert out.value.tolist() == [2.0 - 800.0 + 7000.0]
