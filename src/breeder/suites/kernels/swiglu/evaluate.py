"""Scores SwiGLU, forward and backward: right within float32, and faster than plain loops."""

import math
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
)

FORWARD, BACKWARD = FUNCTIONS = ("swiglu_forward", "swiglu_backward")
FLOOR = 1e-29
"""Where exp(-gate) overflows float32, results below this part of the other factors may be 0."""
Array = np.ndarray[Any, Any]


def draw_forward(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of swiglu_forward: gate, up, out, count."""
    gate = array_of(inputs, case, least=1e-2, most=30.0)
    up = inputs.normal(*case.shape, scale=inputs.magnitude(1e-2, 10.0))
    return gate, up, Output(case.shape), math.prod(case.shape)


def draw_backward(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of swiglu_backward: grad, gate, up, grad_gate, grad_up, count."""
    gate, up, out, count = draw_forward(inputs, case)
    grad = inputs.normal(*case.shape, scale=inputs.magnitude(1e-6, 1e1))
    return grad, gate, up, out, Output(case.shape), count


def sigmoid(gate: Array) -> tuple[Array, Array]:
    """1 / (1 + exp(-gate)) in float64, and how far float32 errors of the exponent magnify it."""
    with np.errstate(over="ignore"):  # to infinity, of which the reciprocal is what is wanted
        value = 1.0 / (1.0 + np.exp(-gate))
    return value, 1.0 + np.clip(-gate, 0.0, 200.0) / 4.0


def forward(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64."""
    gate, up = arguments[0].astype(float), arguments[1].astype(float)
    s, magnified = sigmoid(gate)
    value = gate * s * up
    scale = np.nan_to_num(np.abs(value) * magnified + FLOOR * np.abs(up))
    return [Expected("out", value, elementwise(np.float32), scale)]


def backward(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64; 1 + gate * (1 - s) cancels for negative gates."""
    grad, gate, up = (one.astype(float) for one in arguments[:3])
    s, magnified = sigmoid(gate)
    grad_up, grad_gate = grad * gate * s, grad * up * s * (1.0 + gate * (1.0 - s))
    # 1 - s is off by a rounding of 1, which the gate multiplies until s is 1 in float32.
    size = s * (1.0 + np.minimum(np.abs(gate), 20.0) + np.abs(gate) * (1.0 - s)) * magnified
    scales = (np.abs(grad * up) * (size + FLOOR), np.abs(grad_up) * magnified)
    return [
        Expected("grad_gate", grad_gate, elementwise(np.float32), np.nan_to_num(scales[0])),
        Expected(
            "grad_up",
            grad_up,
            elementwise(np.float32),
            np.nan_to_num(scales[1] + FLOOR * np.abs(grad)),
        ),
    ]


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Numbers of elements from 1 to 50,000, log-uniform."""
    counts = np.exp(rng.uniform(0.0, math.log(50_000), 8)).astype(int).tolist()
    return cases_of([(1, n) for n in counts], functions=FUNCTIONS)


CASES = Cases(
    quick=[
        *cases_of([(1, 1), (3, 5), (2, 16), (5, 33), (1, 1000)], functions=FUNCTIONS),
        *cases_of([(3, 37), (5, 3)], "huge", "zero", "NaN", functions=FUNCTIONS),
    ],
    glance=cases_of([(32, 352)], functions=FUNCTIONS),
    search=cases_of([(64, 352), (16, 1408), (33, 500)], functions=FUNCTIONS),
    held_out=cases_of([(50, 688), (7, 2752), (4, 8191)], functions=FUNCTIONS),
    verified=[
        *cases_of([(0, 64), (1, 2), (31, 1), (13, 17), (257, 3), (1, 15)], functions=FUNCTIONS),
        *cases_of([(63, 65), (1, 31), (5, 127), (2, 20_000)], functions=FUNCTIONS),
        *cases_of([(3, 7), (3, 256)], "zero", "tiny", "huge", "NaN", functions=FUNCTIONS),
    ],
    unlisted=unlisted,
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
