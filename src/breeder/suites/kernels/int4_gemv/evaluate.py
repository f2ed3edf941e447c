"""Scores a product of 4-bit weights and a vector: right in float32, faster than plain loops."""

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

GROUP = 32  # columns with a common scale
WIDE = 1024  # columns


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: weight, scales, x, out, rows, columns."""
    rows, columns = case.shape
    weight = np.frombuffer(inputs.rng.bytes(rows * columns // 2), np.uint8)
    if case.kind == "extreme":
        weight = np.where(weight < 128, np.uint8(0x00), np.uint8(0xFF))
    scales = np.abs(inputs.normal(rows, columns // GROUP, scale=inputs.magnitude(1e-3, 1.0)))
    x = array_of(inputs, case, (1, columns))
    return weight.reshape(rows, columns // 2), scales, x, Output((rows,)), rows, columns


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64; errors are measured against the sums of the absolute terms."""
    packed, scales, x = arguments[0], arguments[1].astype(float), arguments[2].astype(float)
    weight = np.stack([packed & 15, packed >> 4], axis=-1).reshape(case.shape) - 8.0
    with np.errstate(invalid="ignore"):  # an infinity times a weight of 0
        terms = weight * np.repeat(scales, GROUP, axis=1) * x
    value, scale = terms.sum(axis=1), np.nan_to_num(np.abs(terms).sum(axis=1))
    return [Expected("out", value, elementwise(np.float32, terms=case.shape[1]), scale)]


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Columns from one group to a hundred."""
    sizes = rng.integers((1, 1), (40, 100), (8, 2)).tolist()
    return cases_of([(rows, groups * GROUP) for rows, groups in sizes])


CASES = Cases(
    quick=[
        *cases_of([(1, 32), (3, 64), (2, 96), (5, 160), (7, 256), (1, 992)]),
        *cases_of([(3, 64)], "extreme", "huge", "NaN"),
    ],
    glance=cases_of([(256, 512)]),
    search=cases_of([(512, 256), (300, 480), (256, 1024), (100, 4096)]),
    held_out=cases_of([(400, 384), (250, 608), (192, 1536), (128, 2816)]),
    verified=[
        *cases_of([(0, 64), (31, 32), (13, 128), (257, 96), (2, 4128), (2, 20_000)]),
        *cases_of([(3, 32), (3, 288)], "zero", "tiny", "huge", "extreme", "NaN"),
    ],
    unlisted=unlisted,
)
TASK = TimedTask(
    Path(__file__).parent,
    {"int4_gemv": Kernel("int4_gemv", draw, reference)},
    CASES,
    Contrast("wide_over_narrow", lambda case: case.shape[1] >= WIDE),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
