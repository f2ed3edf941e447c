"""Scores a step of AdamW: right within float32, and faster than plain loops."""

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
    TimedTask,
    Updated,
    array_of,
    cases_of,
    elementwise,
    rounding,
)

LARGE = 20_000  # elements


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: param, grad, m, v, count, rate, betas, epsilon, decay, step."""
    size = inputs.magnitude(1e-6, 1e1)
    grad = array_of(inputs, case, least=size, most=size)
    m = inputs.normal(*case.shape, scale=0.3 * size)
    v = np.square(inputs.normal(*case.shape, scale=size))
    param = inputs.normal(*case.shape, scale=inputs.magnitude(1e-3, 1.0))
    step = int(inputs.magnitude(1, 1e5))
    if step == 1:  # before the first step there is nothing to remember
        m, v = np.zeros_like(m), np.zeros_like(v)
    rate, decay = inputs.magnitude(1e-5, 1e-2), float(inputs.rng.choice((0.0, 0.01, 0.1)))
    betas = 0.9, float(inputs.rng.choice((0.95, 0.99, 0.999)))
    arrays = Updated(param), grad, Updated(m), Updated(v)
    return *arrays, case.shape[0], rate, *betas, 1e-8, decay, step


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64; m may cancel, and its error moves the parameter."""
    rate, beta1, beta2, epsilon, decay, step = arguments[5:]
    param, m, v = (arguments[i].array.astype(float) for i in (0, 2, 3))
    grad = arguments[1].astype(float)
    moments = beta1 * m, (1 - beta1) * grad
    m, m_scale = moments[0] + moments[1], np.abs(moments[0]) + np.abs(moments[1])
    v = beta2 * v + (1 - beta2) * grad * grad
    with np.errstate(invalid="ignore"):  # an infinite gradient: the step is infinity / infinity
        length = rate / (1 - beta1**step) / (np.sqrt(v / (1 - beta2**step)) + epsilon)
        value = param * (1 - rate * decay) - length * m
        scale = np.nan_to_num(np.abs(param) + length * m_scale)
    near = elementwise(np.float32)
    return [
        Expected("param", value, near, scale),
        Expected("m", m, near, np.nan_to_num(m_scale)),
        Expected("v", v, rounding(np.float32)),
    ]


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Numbers of elements from 1 to 50,000, log-uniform."""
    counts = np.exp(rng.uniform(0.0, math.log(50_000), 8)).astype(int).tolist()
    return cases_of([(n,) for n in counts])


CASES = Cases(
    quick=[
        *cases_of([(1,), (5,), (16,), (33,), (100,), (1000,)]),
        *cases_of([(37,), (3,)], "zero", "tiny", "huge", "NaN", "infinite"),
    ],
    glance=cases_of([(16_384,)]),
    search=cases_of([(4096,), (10_007,), (30_000,), (65_536,)]),
    held_out=cases_of([(6000,), (15_361,), (40_000,), (98_304,)]),
    verified=[
        *cases_of([(0,), (2,), (7,), (15,), (31,), (65,), (127,), (1023,), (200_000,)]),
        *cases_of([(7,), (257,)], "zero", "tiny", "huge", "NaN", "infinite"),
    ],
    unlisted=unlisted,
)
TASK = TimedTask(
    Path(__file__).parent,
    {"adamw": Kernel("adamw", draw, reference)},
    CASES,
    Contrast("large_over_small", lambda case: case.shape[0] >= LARGE),
    footprint_mib=3.0,
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
