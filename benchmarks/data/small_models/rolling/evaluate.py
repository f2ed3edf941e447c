"""Checks every value, then compares CPU time, read from outside, with a fixed amount of work.

`speed` is calls per CPU second; it carries the noise of one measurement, so that only large
differences mean something.
"""

import numpy as np

from breeder.evaluation import InvalidAnswerError, Result

LENGTH, WINDOW, CALLS = 3000, 24, 8


def expected(values, window):
    rows = np.lib.stride_tricks.sliding_window_view(values, window)
    return np.array([rows.mean(axis=1), rows.max(axis=1)])


def check(candidate, values, window):
    found = candidate.call("answer", values, window)
    right = expected(values, window)
    if not isinstance(found, np.ndarray) or found.shape != right.shape:
        raise InvalidAnswerError("rolling must return two arrays, one entry per window")
    if not np.allclose(found, right, rtol=1e-9, atol=1e-9):
        raise InvalidAnswerError("rolling returns wrong values")


def evaluate(candidate):
    rng = np.random.default_rng(candidate.seed)
    check(candidate, rng.normal(size=50), 7)
    begin = candidate.cpu_seconds
    for _ in range(CALLS):
        check(candidate, rng.normal(size=LENGTH), WINDOW)
    spent = max(candidate.cpu_seconds - begin, 1e-4)
    return Result({"speed": CALLS / spent})
