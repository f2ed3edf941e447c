"""Circles in a rectangle of perimeter 4: multistart of SLSQP over centres, radii and the width."""

import time

import numpy as np
from scipy.optimize import minimize

# EVOLVE-BLOCK-START
STEPS = 100  # most iterations of the solver
ONWARD = 0.4  # share of starts that disturb the best
COUNT = 2  # circles that are put elsewhere in a disturbed copy
SPREAD = 0.02  # standard deviation of a displacement of the others
NARROW = 0.6  # least width that a start has; the square has width 1


def solved(circles, width):
    """Maximise the sum of radii from a start; variables x, y, radius of all, and the width."""
    n = len(circles)
    i, j = np.triu_indices(n, 1)
    pairs, at = np.arange(len(i)), np.arange(n)
    walls = np.zeros((4 * n, 3 * n + 1))  # x - r, y - r, w - x - r, 2 - w - y - r
    for row, (sign, place, wide) in enumerate(((1, 0, 0), (1, 1, 0), (-1, 0, 1), (-1, 1, -1))):
        walls[row * n + at, place * n + at] = sign
        walls[row * n + at, 2 * n + at] = -1.0
        walls[row * n + at, -1] = wide
    room = np.repeat([0.0, 0.0, 0.0, 2.0], n)

    def gaps(v):
        x, y, r = v[:-1].reshape(3, n)
        apart = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 - (r[i] + r[j]) ** 2
        return np.concatenate([apart, walls @ v + room])

    def slopes(v):
        x, y, r = v[:-1].reshape(3, n)
        table = np.zeros((len(pairs), 3 * n + 1))
        for place, way in ((0, x[i] - x[j]), (1, y[i] - y[j])):
            table[pairs, place * n + i], table[pairs, place * n + j] = 2.0 * way, -2.0 * way
        table[pairs, 2 * n + i] = table[pairs, 2 * n + j] = -2.0 * (r[i] + r[j])
        return np.vstack([table, walls])

    goal = np.concatenate([np.zeros(2 * n), -np.ones(n), [0.0]])
    answer = minimize(
        lambda v: goal @ v,
        np.append(circles.T.ravel(), width),
        jac=lambda v: goal,
        bounds=[(0.0, 2.0)] * (2 * n) + [(1e-6, 1.0)] * n + [(0.2, 1.8)],
        constraints={"type": "ineq", "fun": gaps, "jac": slopes},
        method="SLSQP",
        options={"maxiter": STEPS, "ftol": 1e-12},
    )
    return answer.x[:-1].reshape(3, n).T, answer.x[-1]


def shrunk(circles, width):
    """Scale all radii down to what the walls and the tightest pair allow."""
    x, y, radius = circles.T
    i, j = np.triu_indices(len(x), 1)
    limits = np.minimum.reduce([x, y, width - x, 2.0 - width - y])
    shares = np.append(
        limits / radius, np.hypot(x[i] - x[j], y[i] - y[j]) / (radius[i] + radius[j])
    )
    factor = min(1.0, shares.min())
    return np.column_stack([x, y, radius * factor]) if factor > 0.99 else None


def random_circles(n, width, rng):
    """Return n small circles at random."""
    places = 0.05 + rng.random((n, 2)) * [width - 0.1, 1.9 - width]
    return np.column_stack([places, np.full(n, 0.03)])


def search(n, best, seed, cpu_seconds):
    """Return the packing with the largest sum of radii that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.6
    rng = np.random.default_rng(seed)
    top, wide = None, 1.0
    if best is not None:
        top = np.asarray(best, dtype=float)
        top[:, :2] -= (top[:, :2] - top[:, 2:]).min(axis=0)
        wide = (top[:, 0] + top[:, 2]).max()
    while time.process_time() < end:
        width = NARROW + (2.0 - 2.0 * NARROW) * rng.random()
        start = random_circles(n, width, rng)
        if top is not None and rng.random() < ONWARD:
            width, start = wide, top + [SPREAD, SPREAD, 0.0] * rng.normal(size=(n, 3))
            chosen = rng.choice(n, size=min(COUNT, n), replace=False)
            start[chosen] = random_circles(len(chosen), width, rng)
        circles, width = solved(start, width)
        found = shrunk(circles, width)
        if found is not None and (top is None or found[:, 2].sum() > top[:, 2].sum()):
            top, wide = found, width
    if top is None:
        side = int(np.ceil(np.sqrt(n)))
        at = np.arange(n)
        top = np.column_stack([at % side + 0.5, at // side + 0.5, np.full(n, 0.499)]) / side
    return top


# EVOLVE-BLOCK-END
