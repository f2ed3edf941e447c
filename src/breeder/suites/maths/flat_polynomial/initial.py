"""Flat polynomials with coefficients 1 and -1: changes of one or two signs, restarts."""

import time

import numpy as np

# EVOLVE-BLOCK-START
SAMPLES = 1024  # points of the circle
NORM = 24.0  # exponent of the norm that stands for the maximum
ONWARD = 0.5  # share of starts that disturb the best
CHANGED = 6  # signs that a disturbance changes


def waves(n):
    """Return the powers of z at the samples of half the circle, (n, samples); |p| is even."""
    turn = np.exp(2j * np.pi * np.arange(SAMPLES // 2 + 1) / SAMPLES)
    return turn[None, :] ** np.arange(n)[:, None]


def norm(values, n):
    """Return the mean of (|p|^2 / n)^(NORM / 2), its logarithm."""
    return np.log((((values.real**2 + values.imag**2) / n) ** (0.5 * NORM)).mean(axis=-1))


def climbed(signs, powers, end):
    """Change the sign that lowers the norm most until none does."""
    n = len(signs)
    values = signs @ powers
    now = norm(values, n)
    while time.process_time() < end:
        trials = values[None, :] - 2.0 * signs[:, None] * powers
        costs = norm(trials, n)
        k = costs.argmin()
        if costs[k] >= now - 1e-12:
            break
        now, values = costs[k], trials[k]
        signs[k] *= -1.0
    return signs, np.abs(values).max()


def search(n, best, seed, cpu_seconds):
    """Return the n + 1 signs with the smallest maximum that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    powers = waves(n + 1)
    top = None if best is None else np.asarray(best, dtype=float)
    value = np.inf if top is None else np.abs(top @ powers).max()
    while top is None or time.process_time() < end:
        start = rng.choice([-1.0, 1.0], size=n + 1)
        if top is not None and rng.random() < ONWARD:
            start = top.copy()
            start[rng.choice(n + 1, size=min(CHANGED, n + 1), replace=False)] *= -1.0
        found, reached = climbed(start, powers, end)
        if reached < value:
            top, value = found, reached
    return top.astype(int)


# EVOLVE-BLOCK-END
