"""Points whose largest distance is small against the smallest: multistart of SLSQP."""

import time

import numpy as np
from scipy.optimize import minimize

# EVOLVE-BLOCK-START
STEPS = 120  # most iterations of the solver
ONWARD = 0.5  # share of starts that disturb the best
SPREAD = 0.3  # standard deviation of a displacement, in units of the smallest distance


def ratio(points):
    """Return the squared ratio of the largest distance to the smallest."""
    i, j = np.triu_indices(len(points), 1)
    squares = ((points[i] - points[j]) ** 2).sum(axis=1)
    return squares.max() / max(squares.min(), 1e-12)


def solved(points):
    """Minimise the largest squared distance with all of them at least 1."""
    n, d = points.shape
    i, j = np.triu_indices(n, 1)
    pairs = np.arange(len(i))

    def squares(variables):
        return ((variables[:-1].reshape(n, d)[i] - variables[:-1].reshape(n, d)[j]) ** 2).sum(
            axis=1
        )

    def slopes(variables):
        way = variables[:-1].reshape(n, d)[i] - variables[:-1].reshape(n, d)[j]
        table = np.zeros((len(pairs), n, d))
        table[pairs, i], table[pairs, j] = 2.0 * way, -2.0 * way
        table = table.reshape(len(pairs), n * d)
        last = np.ones((len(pairs), 1))
        return np.vstack([np.hstack([table, 0.0 * last]), np.hstack([-table, last])])

    points = points / np.sqrt(((points[i] - points[j]) ** 2).sum(axis=1).min() + 1e-9)
    start = np.append(points.ravel(), 0.0)
    start[-1] = squares(start).max()
    answer = minimize(
        lambda variables: variables[-1],
        start,
        jac=lambda variables: np.append(np.zeros(n * d), 1.0),
        constraints={
            "type": "ineq",
            "fun": lambda v: np.concatenate([squares(v) - 1.0, v[-1] - squares(v)]),
            "jac": slopes,
        },
        method="SLSQP",
        options={"maxiter": STEPS, "ftol": 1e-13},
    )
    return answer.x[:-1].reshape(n, d)


def search(family, d, n, best, seed, cpu_seconds):
    """Return the points with the smallest ratio that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.4
    rng = np.random.default_rng(seed)
    top = None if best is None else np.asarray(best, dtype=float)
    while top is None or time.process_time() < end:
        if top is None or rng.random() >= ONWARD:
            start = rng.random((n, d)) * n ** (1.0 / d)
        else:
            unit = np.sqrt(((top[:, None] - top[None]) ** 2).sum(axis=2) + np.eye(n) * 1e9).min()
            start = top + SPREAD * unit * rng.normal(size=(n, d))
        found = solved(start)
        if np.isfinite(found).all() and (top is None or ratio(found) < ratio(top)):
            top = found
    return top


# EVOLVE-BLOCK-END
