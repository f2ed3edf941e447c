"""Minimum overlap: multistart, descent on a smoothed maximum, then linear programs."""

import time

import numpy as np
from scipy.optimize import fmin_l_bfgs_b, linprog

# EVOLVE-BLOCK-START
STEPS = 71  # steps of a function that is started from nothing; it is symmetric about 1
RESTART = 0.1  # share of rounds that start from nothing; the others disturb the best
SPREAD = 0.2  # standard deviation of a disturbance
REFINE = 0.05  # share of rounds that put two steps in the place of each one
MOST_STEPS = 600  # beyond which nothing is refined
SHARPNESS = 500.0  # of the smoothed maximum
DESCENT = 150  # iterations of the descent
PROGRAMS = 40  # most linear programs in a row
RADIUS = 0.02  # largest change of a height in the first of them
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


def descend(half, n):
    """Minimise a smoothed maximum of the overlaps over logits of the heights."""
    m = len(half)

    def loss(logit):
        a = 1.0 / (1.0 + np.exp(-np.clip(logit, -40.0, 40.0)))
        h = mirrored(a, n)
        scale = 0.5 * n / h.sum()
        h = h * scale
        c = overlaps(h)
        weight = np.exp(SHARPNESS * (c - c.max()))
        total = weight.sum()
        weight /= total
        slope = np.correlate(weight, 1.0 - h, "valid")[::-1]
        slope = (slope - np.correlate(weight, h[::-1], "valid")) * 2.0 / n
        slope = scale * (slope - (slope @ h) / h.sum())
        folded = slope[:m] + slope[::-1][:m]
        if n % 2:
            folded[-1] = slope[m - 1]
        return c.max() + np.log(total) / SHARPNESS, folded * a * (1.0 - a)

    half = np.clip(half, 1e-3, 1.0 - 1e-3)
    logit, _, _ = fmin_l_bfgs_b(loss, np.log(half / (1.0 - half)), maxiter=DESCENT, m=20)
    return normalised(1.0 / (1.0 + np.exp(-np.clip(logit, -40.0, 40.0))), n)


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


def start(half, n, rng):
    """Return the heights and the number of steps to search from."""
    if half is None or rng.random() < RESTART:
        return rng.random((STEPS + 1) // 2), STEPS
    if 2 * n <= MOST_STEPS and rng.random() < REFINE:
        return np.repeat(mirrored(half, n), 2)[:n], 2 * n
    width = int(rng.integers(1, len(half)))
    first = int(rng.integers(0, len(half) - width + 1))
    half = half.copy()
    half[first : first + width] += SPREAD * rng.normal(size=width)
    return half, n


def search(best, seed, cpu_seconds):
    """Return the heights with the smallest largest overlap that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    half, n, value = None, 0, np.inf
    if best is not None:
        n = len(best)
        half = np.asarray(best, dtype=float)[: (n + 1) // 2]
        value = overlaps(mirrored(half, n)).max()
    while time.process_time() < end or half is None:
        trial, steps = start(half, n, rng)
        trial, reached = polish(descend(normalised(trial, steps), steps), steps, end)
        if reached < value:
            half, n, value = trial, steps, reached
    return mirrored(normalised(half, n), n)


# EVOLVE-BLOCK-END
