"""Scores a product of 8-bit weights and a vector: right in float32, faster than plain loops."""

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
    """The arguments of one call: weight, scales, x, out, rows, columns."""
    rows, columns = case.shape
    weight = np.frombuffer(inputs.rng.bytes(rows * columns), np.int8).reshape(case.shape)
    if case.kind == "extreme":
        weight = np.where(weight < 0, np.int8(-128), np.int8(127))
    scales = np.abs(inputs.normal(rows, scale=inputs.magnitude(1e-4, 1e-1)))
    return weight, scales, array_of(inputs, case, (1, columns)), Output((rows,)), rows, columns


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64; errors are measured against the sums of the absolute terms."""
    weight, scales, x = (one.astype(float) for one in arguments[:3])
    with np.errstate(invalid="ignore"):  # an infinity times a weight of 0
        terms = weight * x
        value = scales * terms.sum(axis=1)
    scale = np.nan_to_num(scales * np.abs(terms).sum(axis=1))
    return [Expected("out", value, elementwise(np.float32, terms=case.shape[1]), scale)]


CASES = Cases(
    quick=[
        *cases_of([(1, 1), (3, 5), (2, 16), (5, 33), (7, 100), (1, 1000)]),
        *cases_of([(3, 37), (5, 3)], "extreme", "huge", "NaN"),
    ],
    glance=cases_of([(256, 512)]),
    search=cases_of([(512, 256), (300, 500), (256, 1024), (100, 4096)]),
    held_out=cases_of([(400, 384), (250, 577), (192, 1536), (128, 2816)]),
    verified=[
        *cases_of([(0, 64), (1, 2), (31, 1), (13, 17), (257, 3), (2, 4099)]),
        *cases_of([(63, 65), (1, 15), (9, 31), (5, 127), (3, 1023), (2, 20_000)]),
        *cases_of([(3, 7), (3, 256)], "zero", "tiny", "huge", "extreme", "NaN"),
    ],
    unlisted=unlisted_rows(5000),
)
TASK = TimedTask(
    Path(__file__).parent,
    {"int8_gemv": Kernel("int8_gemv", draw, reference)},
    CASES,
    Contrast("wide_over_narrow", lambda case: case.shape[1] >= WIDE),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
