"""Scores layer normalisation, forward and backward: right in float32, faster than plain loops."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from breeder.kernels import (
    Argument,
    Case,
    Cases,
    Contrast,
    Expected,
    Inputs,
    Kernel,
    Output,
    TimedTask,
    array_of,
    cases_of,
    elementwise,
    unlisted_rows,
)

EPSILONS = (1e-6, 1e-5)
FORWARD, BACKWARD = FUNCTIONS = ("layernorm_forward", "layernorm_backward")
Array = np.ndarray[Any, Any]


def rows(inputs: Inputs, case: Case) -> Array:
    """Activations: rows whose mean is up to a few times their deviation, or `offset` by 1000."""
    x = array_of(inputs, case)
    if case.kind in ("normal", "offset") and x.size:
        away = 1000.0 if case.kind == "offset" else inputs.rng.uniform(-3.0, 3.0)
        x += np.float32(away * float(np.abs(x).max()) / 3.0)
    return x


def statistics(x: Array, epsilon: float) -> tuple[Array, Array]:
    """Mean and reciprocal deviation of each row, in float64, as columns."""
    mean = x.mean(axis=1, keepdims=True)
    variance = np.square(x - mean).mean(axis=1, keepdims=True)
    return mean, 1.0 / np.sqrt(variance + float(np.float32(epsilon)))


def draw_forward(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of layernorm_forward: x, weight, bias, out, mean, rstd, sizes, epsilon."""
    count, columns = case.shape
    weight = inputs.normal(columns) + np.float32(1.0)
    outputs = Output(case.shape), Output((count,)), Output((count,))
    epsilon = float(inputs.rng.choice(EPSILONS))
    return rows(inputs, case), weight, inputs.normal(columns), *outputs, count, columns, epsilon


def forward(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64; errors of the mean, relative to what it sums, reach every element.

    All of a sum's error does so, and not half of it as under a root: hence four times the terms.
    """
    x, weight, bias = (one.astype(float) for one in arguments[:3])
    mean, rstd = statistics(x, arguments[8])
    out = (x - mean) * rstd * weight + bias
    size = np.abs(x).mean(axis=1, keepdims=True)
    scale = (np.abs(x) + size) * rstd * np.abs(weight) + np.abs(bias)
    terms = 4 * case.shape[1]
    # A mean that is off by d adds d^2 to the variance, a constant row's included.
    slack = np.square(size * rstd * terms**0.5 * 2.0**-25) / 2.0**-23
    return [
        Expected("out", out, elementwise(np.float32, terms=terms), scale + np.abs(out) * slack),
        Expected("mean", mean, elementwise(np.float32, terms=terms), size),
        Expected("rstd", rstd, elementwise(np.float32, terms=terms), rstd * (1.0 + slack)),
    ]


def draw_backward(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of layernorm_backward: grad, x, weight, mean, rstd, three outputs, sizes."""
    count, columns = case.shape
    x = rows(inputs, case)
    epsilon = float(inputs.rng.choice(EPSILONS))
    saved = [one.astype(np.float32).ravel() for one in statistics(x.astype(float), epsilon)]
    grad = inputs.normal(*case.shape, scale=inputs.magnitude(1e-6, 1e1))
    weight = inputs.normal(columns) + np.float32(1.0)
    outputs = Output(case.shape), Output((columns,)), Output((columns,))
    return grad, x, weight, *saved, *outputs, count, columns


def backward(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64, from the mean and rstd that the call was given."""
    grad, x, weight, mean, rstd = (one.astype(float) for one in arguments[:5])
    mean, rstd = mean[:, None], rstd[:, None]
    normed, scaled = (x - mean) * rstd, grad * weight
    product = (scaled * normed).mean(axis=1, keepdims=True)
    grad_x = rstd * (scaled - scaled.mean(axis=1, keepdims=True) - normed * product)
    size, terms = np.abs(scaled), np.abs(scaled * normed)
    means = size.mean(axis=1, keepdims=True), terms.mean(axis=1, keepdims=True)
    scale = rstd * (size + means[0] + np.abs(normed) * means[1])
    count, columns = case.shape
    within_row, over_rows = (elementwise(np.float32, terms=n) for n in (columns, count))
    return [
        Expected("grad_x", grad_x, within_row, scale),
        Expected("grad_weight", (grad * normed).sum(0), over_rows, np.abs(grad * normed).sum(0)),
        Expected("grad_bias", grad.sum(0), over_rows, np.abs(grad).sum(0)),
    ]


CASES = Cases(
    quick=[
        *cases_of([(1, 1), (3, 5), (2, 16), (5, 33), (7, 100), (1, 1000)], functions=FUNCTIONS),
        *cases_of([(3, 37), (5, 3)], "offset", "huge", "NaN", functions=FUNCTIONS),
    ],
    glance=cases_of([(32, 256)], functions=FUNCTIONS),
    search=cases_of([(64, 128), (33, 500), (8, 2048)], functions=FUNCTIONS),
    held_out=cases_of([(50, 96), (24, 384), (4, 4096)], functions=FUNCTIONS),
    verified=[
        *cases_of([(0, 64), (1, 2), (31, 1), (13, 17), (257, 3), (2, 4099)], functions=FUNCTIONS),
        *cases_of([(63, 65), (1, 15), (5, 127), (3, 1023), (2, 20000)], functions=FUNCTIONS),
        *cases_of([(3, 7), (3, 256)], "zero", "tiny", "huge", "offset", "NaN", functions=FUNCTIONS),
    ],
    unlisted=unlisted_rows(5000, FUNCTIONS),
)
KERNELS = {
    FORWARD: Kernel(FORWARD, draw_forward, forward),
    BACKWARD: Kernel(BACKWARD, draw_backward, backward),
}
TASK = TimedTask(
    Path(__file__).parent,
    KERNELS,
    CASES,
    Contrast("backward_over_forward", lambda case: case.function == BACKWARD),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
