"""Scores the backward pass of an embedding: right in float32, faster than plain loops."""

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

WIDE = 256  # columns


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: grad, tokens, grad_weight, count, vocabulary, columns."""
    count, vocabulary, columns = case.shape
    grad = array_of(inputs, case, (count, columns), least=1e-6, most=1e1)
    tokens = inputs.rng.integers(vocabulary, size=count)
    if case.kind == "same":
        tokens[:] = tokens[:1]
    elif case.kind != "even":  # few tokens are frequent, most are rare, as in text
        frequency = inputs.rng.permutation(vocabulary)
        tokens = frequency[(vocabulary * inputs.rng.random(count) ** 3).astype(np.int64)]
    if case.kind == "part":  # of a table, most of whose tokens belong elsewhere
        tokens = 3 * (tokens - vocabulary // 3)
    return grad, tokens, Output((vocabulary, columns)), *case.shape


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The sums in float64, and those of absolute values, which errors are measured against."""
    _, vocabulary, columns = case.shape
    inside = (arguments[1] >= 0) & (arguments[1] < vocabulary)
    grad, tokens = arguments[0][inside].astype(float), arguments[1][inside]
    value, scale = np.zeros((vocabulary, columns)), np.zeros((vocabulary, columns))
    np.add.at(value, tokens, grad)
    np.add.at(scale, tokens, np.abs(grad))
    terms = int(np.bincount(tokens, minlength=1).max())
    return [Expected("grad_weight", value, elementwise(np.float32, terms=terms), scale)]


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Tables of up to 300 x 130, and up to 200 tokens."""
    sizes = rng.integers((1, 1, 1), (200, 300, 130), (8, 3)).tolist()
    return cases_of([tuple(one) for one in sizes])


CASES = Cases(
    quick=[
        *cases_of([(1, 1, 1), (3, 2, 5), (20, 7, 16), (5, 40, 33), (50, 30, 8)]),
        *cases_of([(9, 8, 19), (5, 4, 3)], "same", "even", "part", "huge", "NaN"),
    ],
    glance=cases_of([(128, 512, 128)]),
    search=cases_of([(256, 1024, 64), (128, 512, 256), (333, 700, 100), (64, 500, 512)]),
    held_out=cases_of([(200, 800, 96), (100, 400, 384), (300, 1500, 80), (500, 250, 320)]),
    verified=[
        *cases_of([(0, 9, 5), (1, 100, 7), (400, 1, 31), (100, 13, 1), (64, 64, 64)]),
        *cases_of([(31, 77, 127), (7, 5, 1025), (2000, 50, 3)]),
        *cases_of(
            [(30, 40, 17), (200, 100, 64)],
            *("same", "even", "part", "zero", "tiny", "huge", "NaN"),
        ),
    ],
    unlisted=unlisted,
)
TASK = TimedTask(
    Path(__file__).parent,
    {"embedding_backward": Kernel("embedding_backward", draw, reference)},
    CASES,
    Contrast("wide_over_narrow", lambda case: case.shape[2] >= WIDE),
    footprint_mib=3.0,
)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
