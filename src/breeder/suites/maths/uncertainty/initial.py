"""The uncertainty principle for signs: double roots of a combination of Laguerre polynomials.

With double roots r_1 < ... < r_k, the combination of L_0, L_2, ..., L_(4k+2) of index -1/2 that
is 0 at 0 is determined; wanted is that its last change of sign comes early.
"""

import time

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import eval_genlaguerre

# EVOLVE-BLOCK-START
ROOTS = 2  # double roots of a start
MOST = 12  # double roots, with those that are put in
GROW = 0.2  # share of disturbances that put in a double root
SPREAD = 0.1  # relative size of a disturbance of the best
ONWARD = 0.7  # share of starts that disturb the best
EVALUATIONS = 400  # of one descent
DRAWS = 200  # random double roots, of which the best are a start
SAMPLES = 7  # places between two double roots at which the sign is looked at
FIRST = 3.6  # mean of the first double root of a start
STEP = 6.0  # mean distance of the next ones


def basis(z, k):
    """Return the Laguerre polynomials times exp(-z / 2), (points, 2 k + 2)."""
    degrees = 2 * np.arange(2 * k + 2)
    return eval_genlaguerre(degrees[None, :], -0.5, z[:, None]) * np.exp(-0.5 * z[:, None])


def slopes(z, k):
    """Return the slopes of the polynomials alone, times exp(-z / 2)."""
    degrees = 2 * np.arange(2 * k + 2)
    lower = eval_genlaguerre(np.maximum(degrees[None, :] - 1, 0), 0.5, z[:, None])
    return -np.where(degrees[None, :] > 0, lower, 0.0) * np.exp(-0.5 * z[:, None])


def last_change(roots):
    """Return where the sign changes for the last time, a large number where that is unknown."""
    roots = np.sort(roots)
    k = len(roots)
    if roots[0] <= 0.1 or np.diff(roots).min(initial=1.0) < 1e-3 or roots[-1] > 200.0:
        return 1e3
    rows = np.vstack([basis(np.zeros(1), k), basis(roots, k), slopes(roots, k)])
    _, _, turned = np.linalg.svd(rows / np.abs(rows).max(axis=1, keepdims=True))
    weights = turned[-1]
    between = np.linspace(roots[:-1], roots[1:], SAMPLES + 2)[1:-1].T.ravel()
    beyond = roots[-1] + np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    after = np.concatenate([between, beyond])
    first = np.linspace(0.02, 0.97, 40) * roots[0]
    sign = np.sign(weights[-1])
    wrong = after[(basis(after, k) @ weights) * sign < 0.0]
    if len(wrong):
        return 10.0 + wrong.max()
    values = (basis(first, k) @ weights) * sign
    below = np.flatnonzero(values < 0.0)
    if len(below) == 0 or below[-1] == len(first) - 1:
        return 1e2
    at = below[-1]

    def value(z):
        return float((basis(np.array([z]), k) @ weights)[0])

    return brentq(value, first[at], first[at + 1], xtol=1e-14)


def random_roots(rng):
    """Return double roots at random distances."""
    first = FIRST * np.exp(0.2 * rng.normal())
    return first + np.concatenate([[0.0], np.cumsum(STEP * rng.gamma(2.0, 0.5, ROOTS - 1))])


def search(best, seed, cpu_seconds):
    """Return the double roots with the earliest last change of sign, `best` included."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    top, value = None, np.inf
    if isinstance(best, list):
        top = np.array(best, dtype=float)
        value = last_change(top)
    while top is None or time.process_time() < end:
        if top is None or rng.random() >= ONWARD:
            draws = [random_roots(rng) for _ in range(DRAWS)]
            start = min(draws, key=last_change)
        else:
            start = top * (1.0 + SPREAD * rng.normal(size=len(top)) * rng.random())
            if len(top) < MOST and rng.random() < GROW:
                more = top[-1] * (0.1 + 1.5 * rng.random(DRAWS))
                start = min((np.append(top, root) for root in more), key=last_change)
        answer = minimize(
            last_change,
            start,
            method="Nelder-Mead",
            options={"maxfev": EVALUATIONS, "xatol": 1e-9, "fatol": 1e-13},
        )
        if answer.fun < value or top is None:
            top, value = answer.x, answer.fun
    return np.sort(top)


# EVOLVE-BLOCK-END
