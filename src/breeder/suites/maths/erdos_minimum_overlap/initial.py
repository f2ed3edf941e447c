"""Minimum overlap: linear programs in a shrinking box, from random and from disturbed heights."""

import time

import numpy as np
from scipy.optimize import linprog

# EVOLVE-BLOCK-START
STEPS = 51  # steps of a function that is started from nothing; it is symmetric about 1
STARTS = 20  # functions that are started from nothing before the best of them is disturbed
RESTART = 0.5  # share of later rounds that start from nothing, until the best is refined
SPREAD = 0.5  # largest standard deviation of a disturbance
LEAST = 0.01  # smallest one, relative to it
SHORTEST = 0.03  # least width of a disturbance, relative to half the steps
REFINE = 0.0002  # by which the share of rounds that split each step grows per step
MOST_STEPS = 400  # beyond which nothing is refined
PROGRAMS = 60  # most linear programs in a row
RADIUS = 0.1  # largest change of a height in the first of them
WINDOW = 4.0  # overlaps within this many radii of the largest enter the program


def overlaps(h):
    """Return the overlap at every shift by a multiple of the step."""
    return np.convolve(h[::-1], 1.0 - h) * 2.0 / len(h)


def mirrored(half, n):
    """Return the symmetric function of n steps with the given first half."""
    return np.concatenate([half, half[::-1][n % 2 :]])


def normalised(half, n):
    """Shift heights until the integral is 1."""
    for _ in range(100):
        missing = 0.5 - mirrored(half, n).mean()
        if abs(missing) < 1e-15:
            break
        half = np.clip(half + missing, 0.0, 1.0)
    return half


def slopes(h, shifts):
    """Return the derivative of the overlaps at some shifts by every height, (shifts, n)."""
    n = len(h)
    held = np.concatenate([np.zeros(n), h, np.zeros(n)])
    rest = np.concatenate([np.zeros(n), 1.0 - h, np.zeros(n)])
    at = np.arange(n)[None, :]
    shift = shifts[:, None] - (n - 1)
    return (rest[n + at + shift] - held[n + at - shift]) * 2.0 / n


def polish(half, n, end):
    """Lower the largest overlap by linear programs in a shrinking box of changes."""
    m, radius = len(half), RADIUS
    fold = np.zeros((n, m))
    fold[np.arange(m), np.arange(m)] = 1.0
    fold[n - 1 - np.arange(m), np.arange(m)] = 1.0
    c = overlaps(mirrored(half, n))[:n]  # the other shifts have the same by symmetry
    for _ in range(PROGRAMS):
        if time.process_time() > end or radius < 1e-7:
            break
        near = np.flatnonzero(c > c.max() - WINDOW * radius)
        rows = np.column_stack([slopes(mirrored(half, n), near) @ fold, -np.ones(len(near))])
        low, high = np.maximum(-radius, -half), np.minimum(radius, 1.0 - half)
        answer = linprog(
            np.append(np.zeros(m), 1.0),
            rows,
            -c[near],
            np.append(fold.sum(axis=0), 0.0)[None],
            [0.0],
            bounds=[*zip(low, high, strict=True), (None, None)],
            method="highs-ds",
        )
        if answer.x is None:
            radius *= 0.5
            continue
        trial = np.clip(half + answer.x[:m], 0.0, 1.0)
        after = overlaps(mirrored(trial, n))[:n]
        if after.max() < c.max() - 1e-12:
            foreseen = c.max() - answer.x[-1]
            radius = min(2.0 * radius, 0.2) if c.max() - after.max() > 0.7 * foreseen else radius
            half, c = trial, after
        else:
            radius /= 3.0
    return half, c.max()


def disturbed(half, rng):
    """Return a copy with noise on an interval; widths and sizes spread over orders of magnitude."""
    width = max(int(len(half) * SHORTEST ** rng.random()), 1)
    first = int(rng.integers(0, len(half) - width + 1))
    half = half.copy()
    half[first : first + width] += SPREAD * LEAST ** rng.random() * rng.normal(size=width)
    return np.clip(half, 0.0, 1.0)


def search(best, seed, cpu_seconds):
    """Return the heights with the smallest largest overlap that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    half, n, value, fresh = None, STEPS, np.inf, STARTS
    if best is not None:
        n, fresh = len(best), 0
        half = np.asarray(best, dtype=float)[: (n + 1) // 2]
        value = overlaps(mirrored(half, n)).max()
    while time.process_time() < end or half is None:
        steps = n
        if fresh > 0 or (n == STEPS and rng.random() < RESTART):
            trial, fresh = rng.random((STEPS + 1) // 2), fresh - 1
        elif 2 * n <= MOST_STEPS and rng.random() < REFINE * n:
            trial, steps = np.repeat(mirrored(half, n), 2)[:n], 2 * n
        else:
            trial = disturbed(half, rng)
        trial, reached = polish(normalised(trial, steps), steps, end)
        if reached < value:
            half, n, value = trial, steps, reached
    return mirrored(normalised(half, n), n)


# EVOLVE-BLOCK-END
