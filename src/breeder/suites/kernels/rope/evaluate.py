"""Scores rotary position embedding: right within float32, and faster than plain loops."""

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

LONG = 32  # half of a head's elements


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: x, cosines, sines, out, batch, tokens, heads, half."""
    batch, tokens, heads, half = case.shape
    whole = (batch, tokens, heads, 2 * half)
    first = inputs.rng.integers(100_000)
    # Models give both halves the same angles; a program must not rely on it.
    bases = inputs.rng.uniform(0.5, 1.0, (2, 1)) * 10_000.0 ** (-np.arange(half) / half)
    angles = (first + np.arange(tokens))[:, None] * bases.reshape(-1)
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    return array_of(inputs, case, whole), cosines, sines, Output(whole), *case.shape


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64."""
    x, cosines, sines = (one.astype(float) for one in arguments[:3])
    half = case.shape[3]
    first, second = x[..., :half], x[..., half:]
    turned = np.concatenate([-second, first], axis=-1)
    c, s = cosines[:, None, :], sines[:, None, :]
    with np.errstate(invalid="ignore"):  # an infinity times a sine of 0
        value = x * c + turned * s
    scale = np.nan_to_num(np.abs(x)) * np.abs(c) + np.nan_to_num(np.abs(turned)) * np.abs(s)
    return [Expected("out", value, elementwise(np.float32), scale)]


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Shapes of up to a few thousand elements."""
    sizes = rng.integers((1, 1, 1, 1), (4, 24, 9, 66), (8, 4)).tolist()
    return cases_of([tuple(one) for one in sizes])


CASES = Cases(
    quick=[
        *cases_of([(1, 1, 1, 1), (2, 3, 2, 5), (1, 7, 3, 16), (1, 2, 1, 33), (2, 5, 2, 24)]),
        *cases_of([(3, 4, 2, 19), (2, 2, 2, 3)], "huge", "zero", "NaN", "infinite"),
    ],
    glance=cases_of([(1, 64, 4, 32)]),
    search=cases_of([(1, 64, 8, 16), (2, 32, 4, 32), (1, 33, 6, 24), (1, 32, 4, 64)]),
    held_out=cases_of([(2, 48, 4, 16), (1, 40, 7, 32), (1, 25, 5, 40), (1, 20, 6, 64)]),
    verified=[
        *cases_of([(0, 4, 2, 8), (2, 0, 2, 8), (1, 1, 1, 2), (1, 31, 1, 1), (3, 1, 5, 15)]),
        *cases_of([(1, 9, 3, 31), (2, 2, 2, 65), (1, 3, 1, 127), (1, 300, 2, 32)]),
        *cases_of([(3, 2, 3, 7), (3, 5, 2, 64)], "zero", "tiny", "huge", "NaN", "infinite"),
    ],
    unlisted=unlisted,
)
TASK = TimedTask(
    Path(__file__).parent,
    {"rope": Kernel("rope", draw, reference)},
    CASES,
    Contrast("long_over_short", lambda case: case.shape[3] >= LONG),
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
