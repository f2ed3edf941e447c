"""Scores cross-entropy with its gradient in place: right in float32, faster than plain loops."""

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
    Updated,
    array_of,
    cases_of,
    elementwise,
    unlisted_rows,
)

IGNORED = -100
WIDE = 16_384  # columns


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: logits, targets, losses, rows, vocabulary, scale."""
    rows, vocabulary = case.shape
    logits = array_of(inputs, case, least=1e-1, most=10.0)
    if case.kind == "far apart":
        logits *= np.float32(1e3)
    targets = inputs.rng.integers(vocabulary, size=rows)
    targets[inputs.rng.random(rows) < (1.0 if case.kind == "ignored" else 0.1)] = IGNORED
    scale = inputs.magnitude(1e-4, 1.0)
    return Updated(logits), targets, Output((rows,)), rows, vocabulary, scale


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64.

    Probabilities may be computed as exp(x - m) / sum or as exp(x - log(sum)): they are off by the
    rounding of these differences.
    """
    logits, targets = arguments[0].array.astype(float), arguments[1]
    scale = float(np.float32(arguments[5]))
    rows, terms = case.shape
    counted, at = targets != IGNORED, np.maximum(targets, 0)
    right = logits[np.arange(rows), at]
    one_hot = np.zeros(case.shape)
    one_hot[np.arange(rows), at] = 1.0
    with np.errstate(invalid="ignore"):  # a row with NaN is NaN, and so says the formula
        largest = logits.max(axis=1, keepdims=True)
        sum_log = np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
        distance = logits - largest - sum_log
        losses = np.where(counted, sum_log.ravel() + (largest.ravel() - right), 0.0)
        weight = np.exp(distance)
        gradient = np.where(counted[:, None], scale * (weight - one_hot), 0.0)
        away = np.abs(np.maximum(distance, -200.0)) + np.abs(largest + sum_log)
        error = scale * (weight * (1.0 + away / 4.0) + one_hot)
        size = np.where(np.isfinite(right), np.abs(right), 0.0)
    loss_error = np.where(counted, np.abs(largest.ravel()) + size + sum_log.ravel() + 1.0, 0.0)
    tolerance = elementwise(np.float32, terms=terms)
    return [
        Expected("gradient", gradient, tolerance, np.nan_to_num(error)),
        Expected("losses", losses, tolerance, np.nan_to_num(loss_error)),
    ]


CASES = Cases(
    quick=[
        *cases_of([(1, 1), (3, 5), (2, 16), (5, 33), (7, 100), (1, 1000)]),
        *cases_of([(6, 37), (9, 3)], "far apart", "huge", "ignored", "NaN", "infinite"),
    ],
    glance=cases_of([(8, 4096)]),
    search=cases_of([(24, 4096), (12, 8192), (6, 16_384), (3, 32_000)]),
    held_out=cases_of([(16, 6000), (9, 10_001), (4, 24_576), (2, 50_257)]),
    verified=[
        *cases_of([(0, 64), (1, 2), (31, 1), (13, 17), (257, 3), (2, 4099)]),
        *cases_of([(63, 65), (1, 15), (9, 31), (5, 127), (3, 1023), (2, 20_000)]),
        *cases_of([(3, 7), (3, 256)], "zero", "tiny", "huge", "far apart", "NaN", "infinite"),
        *cases_of([(4, 19), (2, 4100)], "ignored"),
    ],
    unlisted=unlisted_rows(20_000),
)
TASK = TimedTask(
    Path(__file__).parent,
    {"cross_entropy": Kernel("cross_entropy", draw, reference)},
    CASES,
    Contrast("wide_over_narrow", lambda case: case.shape[1] >= WIDE),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
