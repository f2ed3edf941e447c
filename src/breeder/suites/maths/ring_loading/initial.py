"""Ring loading: sequential linear programs that raise the cheapest of all 2^m roundings."""

import time

import numpy as np
from scipy.optimize import linprog

# EVOLVE-BLOCK-START
RESTART = 0.3  # share of rounds that start from random pairs; the others disturb the best
SPREAD = 0.15  # standard deviation of a disturbance
CHANGED = 0.5  # share of the pairs that are disturbed
LATTICE = 0.5  # share of starts that are rounded to multiples of 1 / DENOMINATOR
DENOMINATOR = 10.0
PROGRAMS = 40  # most linear programs in a row
RADIUS = 0.15  # largest change of a number in the first of them
MOST_ROWS = 400  # roundings that enter a program, the cheapest first


def patterns(m):
    """Return all choices, (2^m, m): 1 where a pair adds v, 0 where it takes off u."""
    return (np.arange(1 << m)[:, None] >> np.arange(m)[None, :] & 1).astype(np.float64)


def loads(u, v, up):
    """Return the split sums of every choice, (2^m, m): twice the first k terms less all."""
    partial = np.cumsum(np.where(up > 0.0, v, -u), axis=1)
    return 2.0 * partial - partial[:, -1:]


def cost(u, v, up):
    """Return the cost of the cheapest choice."""
    split = loads(u, v, up)
    return np.abs(split).max(axis=1).min()


def rows(split, chosen, up):
    """Return the slope of the largest split sum of some choices by u and v, (choices, 2 m)."""
    m = up.shape[1]
    at = np.abs(split[chosen]).argmax(axis=1)
    sign = np.sign(split[chosen, at])
    weight = np.where(np.arange(m)[None, :] <= at[:, None], 1.0, -1.0) * sign[:, None]
    return np.concatenate([-weight * (1.0 - up[chosen]), weight * up[chosen]], axis=1)


def climb(u, v, up, end):
    """Raise the cheapest choice by linear programs in a shrinking box of changes."""
    m, radius = len(u), RADIUS
    split = loads(u, v, up)
    costs = np.abs(split).max(axis=1)
    eye = np.eye(m)
    for _ in range(PROGRAMS):
        if time.process_time() > end or radius < 1e-9:
            break
        chosen = np.argsort(costs)[:MOST_ROWS]
        slope = rows(split, chosen, up)
        upper = np.block([[-slope, np.ones((len(chosen), 1))], [eye, eye, np.zeros((m, 1))]])
        now = np.concatenate([u, v])
        low, high = np.maximum(-radius, -now), np.minimum(radius, 1.0 - now)
        answer = linprog(
            np.append(np.zeros(2 * m), -1.0),
            upper,
            np.concatenate([costs[chosen], 1.0 - u - v]),
            bounds=[*zip(low, high, strict=True), (None, None)],
            method="highs-ds",
        )
        if answer.x is None:
            radius *= 0.5
            continue
        u2, v2 = np.clip(u + answer.x[:m], 0.0, 1.0), np.clip(v + answer.x[m:-1], 0.0, 1.0)
        split2 = loads(u2, v2, up)
        costs2 = np.abs(split2).max(axis=1)
        if costs2.min() > costs.min() + 1e-12:
            u, v, split, costs = u2, v2, split2, costs2
        else:
            radius /= 3.0
    return u, v, costs.min()


def start(best, m, rng):
    """Return pairs to climb from."""
    if best is None or rng.random() < RESTART:
        share = rng.random(m)
        u, v = share, 1.0 - share
    else:
        changed = rng.random(m) < CHANGED
        u = np.clip(best[0] + changed * SPREAD * rng.normal(size=m), 0.0, 1.0)
        v = np.clip(best[1] + changed * SPREAD * rng.normal(size=m), 0.0, 1.0)
    if rng.random() < LATTICE:
        u, v = np.round(DENOMINATOR * u) / DENOMINATOR, np.round(DENOMINATOR * v) / DENOMINATOR
    over = np.maximum(u + v, 1.0)
    return u / over, v / over


def search(m, best, seed, cpu_seconds):
    """Return the pairs (u, v) whose cheapest choice is dearest among those found, `best` too."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    up = patterns(m)
    pairs = None if best is None else np.asarray(best, dtype=float).T
    value = -1.0 if pairs is None else cost(*pairs, up)
    while time.process_time() < end or pairs is None:
        u, v, reached = climb(*start(pairs, m, rng), up, end)
        if reached > value:
            pairs, value = (u, v), reached
    return np.column_stack([pairs[0], pairs[1]])


# EVOLVE-BLOCK-END
