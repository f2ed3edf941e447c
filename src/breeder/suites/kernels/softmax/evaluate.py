"""Scores a softmax kernel: right within float32, and faster than plain loops."""

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

WIDE = 1024  # columns


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: x, out, rows, columns."""
    x = array_of(inputs, case, least=1e-2, most=10.0)
    if case.kind == "far apart":
        x *= np.float32(1e4)
    return x, Output(case.shape), *case.shape


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64.

    A difference of two logits, and its product with log2(e), are off by their own rounding, which
    is relative to the exponential: one epsilon of |x - m| in all.
    """
    x = arguments[0].astype(float)
    with np.errstate(invalid="ignore"):  # a row with NaN is NaN, and so says the formula
        distance = x - x.max(axis=1, keepdims=True, initial=-np.inf)
        weight = np.exp(distance)
        value = weight / weight.sum(axis=1, keepdims=True)
        scale = np.nan_to_num(value * (1.0 - np.maximum(distance, -200.0) / 4.0))
    return [Expected("out", value, elementwise(np.float32, terms=case.shape[1]), scale)]


CASES = Cases(
    quick=[
        *cases_of([(1, 1), (3, 5), (2, 16), (5, 33), (7, 100), (1, 1000)]),
        *cases_of([(3, 37), (5, 3)], "far apart", "huge", "NaN", "infinite"),
    ],
    glance=cases_of([(64, 256)]),
    search=cases_of([(96, 128), (64, 256), (33, 500), (8, 2048)]),
    held_out=cases_of([(100, 96), (48, 384), (25, 577), (4, 4096)]),
    verified=[
        *cases_of([(0, 64), (1, 2), (31, 1), (13, 17), (257, 3), (2, 4099)]),
        *cases_of([(63, 65), (1, 15), (9, 31), (5, 127), (3, 1023), (2, 20000)]),
        *cases_of([(3, 7), (3, 256)], "zero", "tiny", "huge", "far apart", "NaN", "infinite"),
    ],
    unlisted=unlisted_rows(5000),
)
TASK = TimedTask(
    Path(__file__).parent,
    {"softmax": Kernel("softmax", draw, reference)},
    CASES,
    Contrast("wide_over_narrow", lambda case: case.shape[1] >= WIDE),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
