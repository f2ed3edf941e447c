"""First autocorrelation inequality: linear programs in a shrinking box, coarse to fine steps."""

import time

import numpy as np
from scipy.optimize import linprog

# EVOLVE-BLOCK-START
COARSE = 48  # steps of a function that is started from nothing
STARTS = 30  # functions that are started from nothing before the best of them is disturbed
RESTART = 0.5  # share of later rounds that start from nothing, until the best is refined
REFINE = 0.0003  # by which the share of rounds that split each step of the best grows per step
FINEST = 384  # steps up to which the best is refined
SPREAD = 1.0  # largest relative standard deviation of a disturbance
LEAST = 0.03  # smallest one, relative to it
SHORTEST = 0.03  # least width of a disturbance, relative to the number of steps
PROGRAMS = 25  # most linear programs in a row
FAR, NEAR = 0.5, 0.1  # largest change in the first of them, relative to the largest height
WIDE, NARROW = 0.1, 0.03  # shares of the peak below it from which f*f enters a program
GROWTH, DECAY = 2.0, 4.0  # of the box after a good and a bad program


def convolved(f):
    """Return f*f at the multiples of the step of [-1/4, 1/4], for f with the sum 1."""
    return 2.0 * len(f) * np.convolve(f, f)


def polish(f, box, window, end):
    """Lower the peak by linear programs in changes d: (f + d)*(f + d) is about f*f + 2 f*d."""
    n, f = len(f), f / f.sum()
    c, box = convolved(f), box * np.abs(f).max()
    for _ in range(PROGRAMS):
        if time.process_time() > end or box < 1e-9 * np.abs(f).max():
            break
        near = np.flatnonzero(c > c.max() * (1.0 - window))
        held = np.concatenate([np.zeros(n), f, np.zeros(n)])
        slopes = 4.0 * n * held[n + near[:, None] - np.arange(n)[None, :]]
        low = np.maximum(-box, -f)
        answer = linprog(
            np.append(np.zeros(n), 1.0),
            np.column_stack([slopes, -np.ones(len(near))]),
            -c[near],
            np.append(np.ones(n), 0.0)[None],
            [0.0],
            bounds=[*zip(low, np.full(n, box), strict=True), (None, None)],
            method="highs",
        )
        if answer.x is None:
            box /= DECAY
            continue
        trial = np.maximum(f + answer.x[:n], 0.0)
        trial /= trial.sum()
        after = convolved(trial)
        if after.max() < c.max() - 1e-12:
            if c.max() - after.max() > 0.5 * (c.max() - answer.x[-1]):
                box *= GROWTH
            f, c = trial, after
        else:
            box /= DECAY
    return f, c.max()


def disturbed(f, rng):
    """Return a copy in which an interval was multiplied by noise."""
    width = max(int(len(f) * SHORTEST ** rng.random()), 1)
    first = int(rng.integers(0, len(f) - width + 1))
    f = f.copy()
    f[first : first + width] *= 1.0 + SPREAD * LEAST ** rng.random() * rng.normal(size=width)
    return np.maximum(f, 0.0)


def search(best, seed, cpu_seconds):
    """Return the heights with the lowest peak that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    f, value, fresh = None, np.inf, STARTS
    if best is not None:
        f, fresh = np.asarray(best, dtype=float), 0
        f = f / f.sum()
        value = convolved(f).max()
    while time.process_time() < end or f is None:
        if fresh > 0 or (len(f) == COARSE and rng.random() < RESTART):
            trial, reached = polish(rng.random(COARSE) + 0.1, FAR, WIDE, end)
            fresh -= 1
        elif 2 * len(f) <= FINEST and rng.random() < REFINE * len(f):
            trial, reached = polish(np.repeat(f, 2), NEAR, NARROW, end)
        else:
            trial, reached = polish(disturbed(f, rng), NEAR, NARROW, end)
        if reached < value:
            f, value = trial, reached
    return f


# EVOLVE-BLOCK-END
