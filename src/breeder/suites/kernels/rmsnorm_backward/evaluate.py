"""Scores the backward pass of RMS normalisation: right within float32, faster than plain loops."""

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
WIDE = 1024  # columns


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: grad, x, weight, grad_x, grad_weight, rows, columns, epsilon."""
    rows, columns = case.shape
    grad = inputs.normal(rows, columns, scale=inputs.magnitude(1e-6, 1e1))
    weight = inputs.normal(columns) + np.float32(1.0)
    outputs = Output(case.shape), Output((columns,))
    epsilon = float(inputs.rng.choice(EPSILONS))
    return grad, array_of(inputs, case), weight, *outputs, rows, columns, epsilon


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64; errors are measured against the sums of the absolute terms.

    The second term of grad_x holds the factor three times, with an error of several units in each:
    it counts twice.
    """
    grad, x, weight = (one.astype(float) for one in arguments[:3])
    epsilon = float(np.float32(arguments[7]))
    factor = 1.0 / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + epsilon)
    normed, scaled = x * factor, grad * weight
    terms = scaled * normed
    grad_x = factor * (scaled - normed * terms.mean(axis=1, keepdims=True))
    size = np.abs(terms).mean(axis=1, keepdims=True)
    scale = factor * (np.abs(scaled) + 2.0 * np.abs(normed) * size)
    rows, columns = case.shape
    over_rows = elementwise(np.float32, terms=rows + columns)
    return [
        Expected("grad_x", grad_x, elementwise(np.float32, terms=columns), scale),
        Expected("grad_weight", (grad * normed).sum(0), over_rows, np.abs(grad * normed).sum(0)),
    ]


CASES = Cases(
    quick=[
        *cases_of([(1, 1), (3, 5), (2, 16), (5, 33), (7, 100), (1, 1000)]),
        *cases_of([(3, 37), (5, 3)], "huge", "NaN"),
    ],
    glance=cases_of([(32, 256)]),
    search=cases_of([(64, 128), (40, 256), (33, 500), (8, 2048)]),
    held_out=cases_of([(50, 96), (24, 384), (25, 577), (4, 4096)]),
    verified=[
        *cases_of([(0, 64), (1, 2), (31, 1), (13, 17), (257, 3), (2, 4099)]),
        *cases_of([(63, 65), (1, 15), (9, 31), (5, 127), (3, 1023), (2, 20000)]),
        *cases_of([(3, 7), (3, 256)], "zero", "tiny", "huge", "NaN"),
    ],
    unlisted=unlisted_rows(5000),
)
TASK = TimedTask(
    Path(__file__).parent,
    {"rmsnorm_backward": Kernel("rmsnorm_backward", draw, reference)},
    CASES,
    Contrast("wide_over_narrow", lambda case: case.shape[1] >= WIDE),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
