"""Circle packing: descent on a penalty, then a sequence of linear programs; disturbed copies."""

import time

import numpy as np
from scipy.optimize import fmin_l_bfgs_b, linprog
from scipy.sparse import coo_matrix, vstack

# EVOLVE-BLOCK-START
STIFFNESS = 60.0  # of the penalty on overlaps
DESCENT = 150  # iterations of the descent
PROGRAMS = 30  # most linear programs in a row
RADIUS = 0.05  # largest change of a number in the first of them
REACH = 0.15  # pairs with a larger gap do not enter a program
PROMISE = 0.97  # of the best sum, which a descent must reach to be polished
RETRIES = 40  # disturbed copies without a gain after which the search starts from nothing
RELOCATE = 0.5  # share of disturbed copies in which circles are put elsewhere
COUNT = 2  # how many circles are put elsewhere
SPREAD = 0.04  # standard deviation of a displacement of all centres


def relaxed(circles):
    """Maximise the sum of radii less a penalty on squared overlaps."""
    n = len(circles)
    i, j = np.triu_indices(n, 1)

    def loss(z):
        x, y, radius = z.reshape(3, n)
        dx, dy = x[i] - x[j], y[i] - y[j]
        apart = np.sqrt(dx * dx + dy * dy) + 1e-12
        over = np.maximum(radius[i] + radius[j] - apart, 0.0)
        out = np.maximum([radius - x, x + radius - 1.0, radius - y, y + radius - 1.0], 0.0)
        fx, fy = over * dx / apart, over * dy / apart
        slope = np.array(
            [
                np.bincount(j, fx, n) - np.bincount(i, fx, n) - out[0] + out[1],
                np.bincount(j, fy, n) - np.bincount(i, fy, n) - out[2] + out[3],
                np.bincount(i, over, n) + np.bincount(j, over, n) + out.sum(axis=0),
            ]
        )
        slope *= STIFFNESS
        slope[2] -= 1.0
        value = 0.5 * STIFFNESS * (over @ over + (out * out).sum()) - radius.sum()
        return value, slope.ravel()

    return fmin_l_bfgs_b(loss, circles.T.ravel(), maxiter=DESCENT, m=12)[0].reshape(3, n).T


def shrunk(circles):
    """Scale the radii down to what the walls and the tightest pair of each circle allow."""
    x, y, radius = circles.T
    i, j = np.triu_indices(len(x), 1)
    radius = np.minimum(np.maximum(radius, 1e-9), np.minimum.reduce([x, 1 - x, y, 1 - y]))
    apart = np.hypot(x[i] - x[j], y[i] - y[j])
    share = np.minimum(apart / (radius[i] + radius[j]), 1.0)
    least = np.ones(len(x))
    np.minimum.at(least, i, share)
    np.minimum.at(least, j, share)
    return np.column_stack([x, y, radius * least])


def polished(circles, end):
    """Maximise the sum of radii by linear programs with the distances linearised."""
    n, box = len(circles), RADIUS
    at = np.arange(n)
    wall = coo_matrix(
        (
            np.concatenate([-np.ones(n), np.ones(n), -np.ones(n), np.ones(n), np.ones(4 * n)]),
            (
                np.concatenate([np.arange(4 * n), np.arange(4 * n)]),
                np.concatenate([at, at, n + at, n + at, np.tile(2 * n + at, 4)]),
            ),
        ),
        shape=(4 * n, 3 * n),
    ).tocsr()
    room = np.repeat([0.0, 1.0, 0.0, 1.0], n)
    i, j = np.triu_indices(n, 1)
    circles = shrunk(np.clip(circles, 1e-6, 1.0 - 1e-6))
    value = circles[:, 2].sum()
    for _ in range(PROGRAMS):
        if time.process_time() > end or box < 1e-12:
            break
        x, y, radius = circles.T
        dx, dy = x[i] - x[j], y[i] - y[j]
        apart = np.hypot(dx, dy) + 1e-15
        near = np.flatnonzero(apart - radius[i] - radius[j] < REACH + 2.0 * box)
        a, b, ux, uy = i[near], j[near], dx[near] / apart[near], dy[near] / apart[near]
        rows = np.arange(len(near))
        ones = np.ones(len(near))
        pairs = coo_matrix(
            (
                np.concatenate([-ux, ux, -uy, uy, ones, ones]),
                (np.tile(rows, 6), np.concatenate([a, b, n + a, n + b, 2 * n + a, 2 * n + b])),
            ),
            shape=(len(near), 3 * n),
        ).tocsr()
        flat = circles.T.ravel()
        low, high = np.maximum(flat - box, 0.0), np.minimum(flat + box, 1.0)
        answer = linprog(
            np.concatenate([np.zeros(2 * n), -np.ones(n)]),
            vstack([wall, pairs]),
            np.concatenate([room, np.zeros(len(near))]),
            bounds=np.column_stack([low, high]),
            method="highs-ds",
        )
        if answer.x is None:
            break
        trial = shrunk(answer.x.reshape(3, n).T)
        if trial[:, 2].sum() > value + 1e-13:
            circles, value = trial, trial[:, 2].sum()
        else:
            box /= 4.0
    return circles


def random_circles(n, rng):
    """Return n small circles at random."""
    return np.column_stack([rng.random((n, 2)), np.full(n, 0.5 / np.sqrt(n))])


def disturbed(circles, rng):
    """Return a changed copy."""
    moved = circles.copy()
    if rng.random() < RELOCATE:
        chosen = rng.choice(len(moved), size=min(COUNT, len(moved)), replace=False)
        moved[chosen] = random_circles(len(chosen), rng) * [1.0, 1.0, 0.1]
    else:
        moved[:, :2] += SPREAD * rng.normal(size=(len(moved), 2))
    return np.clip(moved, 1e-6, 1.0 - 1e-6)


def search(n, best, seed, cpu_seconds):
    """Return the packing with the largest sum of radii that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    top = None if best is None else np.asarray(best, dtype=float)
    current, stale = top, 0
    while time.process_time() < end or top is None:
        trial = relaxed(random_circles(n, rng) if current is None else disturbed(current, rng))
        promising = current is None or shrunk(trial)[:, 2].sum() > PROMISE * current[:, 2].sum()
        stale += 1
        if promising or top is None:
            trial = polished(trial, end)
            if current is None or trial[:, 2].sum() > current[:, 2].sum() + 1e-12:
                current, stale = trial, 0
            if top is None or current[:, 2].sum() > top[:, 2].sum():
                top = current
        if stale > RETRIES:
            current, stale = None, 0
    return top


# EVOLVE-BLOCK-END
