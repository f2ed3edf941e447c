"""Building blocks for circle packing programs. Runs beside the candidate, read-only.

A packing is an (n, 3) float array of rows x, y, radius in the unit square. Every block takes a
packing and returns a new one; none of them has to be feasible: `total` and the evaluator shrink
what is not.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import fmin_l_bfgs_b, linprog, minimize

Packing = NDArray[np.float64]


class Clock:
    """Counts this process's CPU time against a budget in seconds."""

    def __init__(self, cpu_seconds: float) -> None:
        self._end = time.process_time() + cpu_seconds

    def left(self) -> float:
        """CPU seconds that are left; negative when the budget is overdrawn."""
        return self._end - time.process_time()


def random_circles(n: int, radius: float, rng: np.random.Generator) -> Packing:
    """Return n circles of one radius with uniformly random centres."""
    return np.column_stack([rng.random((n, 2)), np.full(n, radius)])


def shifted(circles: Packing, spread: float, rng: np.random.Generator) -> Packing:
    """Move every centre by a normal step of standard deviation `spread`."""
    moved = circles.copy()
    moved[:, :2] = np.clip(moved[:, :2] + rng.normal(0.0, abs(spread), (len(moved), 2)), 0.0, 1.0)
    return moved


def relocated(circles: Packing, count: int, rng: np.random.Generator) -> Packing:
    """Put `count` random circles, small, at random places."""
    moved = circles.copy()
    chosen = rng.choice(len(moved), size=min(max(int(count), 0), len(moved)), replace=False)
    moved[chosen] = random_circles(len(chosen), 0.02, rng)
    return moved


def swapped(circles: Packing, count: int, rng: np.random.Generator) -> Packing:
    """Let two random circles change places, `count` times."""
    moved = circles.copy()
    for _ in range(int(count)):
        one, other = rng.choice(len(moved), size=2, replace=False)
        moved[[one, other], :2] = moved[[other, one], :2]
    return moved


def feasible(circles: Packing) -> Packing:
    """Shrink radii until walls and neighbours are respected up to rounding."""
    x, y, radius = np.nan_to_num(circles, nan=0.0).T
    radius = np.clip(np.minimum.reduce([radius, x, 1.0 - x, y, 1.0 - y]), 0.0, None)
    i, j = np.triu_indices(len(x), 1)
    distance = np.hypot(x[i] - x[j], y[i] - y[j])
    for pair in np.flatnonzero(radius[i] + radius[j] > distance):
        one, other = i[pair], j[pair]
        over = radius[one] + radius[other] - distance[pair]
        if over > 0.0:
            share = min(max(0.5 * over, over - radius[other]), radius[one])
            radius[one] -= share
            radius[other] -= over - share
    return np.column_stack([x, y, radius])


def total(circles: Packing | None) -> float:
    """Sum of the radii that are left after `feasible`; 0.0 for None."""
    return 0.0 if circles is None else float(feasible(circles)[:, 2].sum())


def radii_lp(circles: Packing) -> Packing:
    """Keep the centres and give the radii the largest possible sum (a linear program)."""
    x, y = circles[:, 0], circles[:, 1]
    i, j = np.triu_indices(len(x), 1)
    rows = np.zeros((len(i), len(x)))
    rows[np.arange(len(i)), i] = rows[np.arange(len(i)), j] = 1.0
    walls = np.clip(np.minimum.reduce([x, 1.0 - x, y, 1.0 - y]), 0.0, None)
    bounds = np.column_stack([np.zeros(len(x)), walls])
    answer = linprog(-np.ones(len(x)), rows, np.hypot(x[i] - x[j], y[i] - y[j]), bounds=bounds)
    return circles if answer.x is None else np.column_stack([x, y, answer.x])


def relax(circles: Packing, steps: int, stiffness: float) -> Packing:
    """Maximise the sum of radii less `stiffness` / 2 times the squared overlaps, by L-BFGS.

    Cheap, and forgiving about the start; circles end up overlapping by about 1 / stiffness.
    """
    n = len(circles)
    i, j = np.triu_indices(n, 1)

    def loss(z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        x, y, radius = z[:n], z[n : 2 * n], z[2 * n :]
        dx, dy = x[i] - x[j], y[i] - y[j]
        distance = np.sqrt(dx * dx + dy * dy) + 1e-12
        overlap = np.maximum(radius[i] + radius[j] - distance, 0.0)
        left, right = np.maximum(radius - x, 0.0), np.maximum(x + radius - 1.0, 0.0)
        low, high = np.maximum(radius - y, 0.0), np.maximum(y + radius - 1.0, 0.0)
        squares = overlap @ overlap + left @ left + right @ right + low @ low + high @ high
        push = overlap / distance
        px, py = push * dx, push * dy
        slope = np.empty(3 * n)
        slope[:n] = np.bincount(j, px, n) - np.bincount(i, px, n) - left + right
        slope[n : 2 * n] = np.bincount(j, py, n) - np.bincount(i, py, n) - low + high
        slope[2 * n :] = np.bincount(i, overlap, n) + np.bincount(j, overlap, n)
        slope[2 * n :] += left + right + low + high
        slope *= stiffness
        slope[2 * n :] -= 1.0
        return float(0.5 * stiffness * squares - radius.sum()), slope

    z, _, _ = fmin_l_bfgs_b(loss, circles.T.ravel(), maxiter=max(int(steps), 1), m=12)
    relaxed: Packing = np.clip(z.reshape(3, n).T, 0.0, 1.0)
    return relaxed


def polish(circles: Packing, steps: int, reach: float) -> Packing:
    """Maximise the sum of radii under the constraints themselves, by SLSQP with exact slopes.

    Args:
        circles: the start; from a bad one this is slow.
        steps: most iterations.
        reach: only circles and walls with a gap below `reach` at the start are kept apart, which
            makes a step cheaper; 2 keeps all of them.
    """
    n = len(circles)
    start = circles.T.ravel()
    i, j = np.triu_indices(n, 1)
    near = np.hypot(*(circles[i, :2] - circles[j, :2]).T) - circles[i, 2] - circles[j, 2] < reach
    i, j = i[near], j[near]
    rows, eye, none = np.arange(len(i)), np.eye(n), np.zeros((n, n))
    walls = np.block([[eye, none, -eye], [-eye, none, -eye], [none, eye, -eye], [none, -eye, -eye]])
    offset = np.repeat([0.0, 1.0, 0.0, 1.0], n)
    close = walls @ start + offset < reach
    walls, offset = walls[close], offset[close]
    slope_of_sum = np.concatenate([np.zeros(2 * n), -np.ones(n)])

    def gaps(z: NDArray[np.float64]) -> NDArray[np.float64]:
        dx, dy, both = z[i] - z[j], z[n + i] - z[n + j], z[2 * n + i] + z[2 * n + j]
        return np.concatenate([dx * dx + dy * dy - both * both, walls @ z + offset])

    def slopes(z: NDArray[np.float64]) -> NDArray[np.float64]:
        dx, dy, both = z[i] - z[j], z[n + i] - z[n + j], z[2 * n + i] + z[2 * n + j]
        matrix = np.zeros((len(i), 3 * n))
        matrix[rows, i], matrix[rows, j] = 2.0 * dx, -2.0 * dx
        matrix[rows, n + i], matrix[rows, n + j] = 2.0 * dy, -2.0 * dy
        matrix[rows, 2 * n + i] = matrix[rows, 2 * n + j] = -2.0 * both
        return np.vstack([matrix, walls])

    answer = minimize(
        lambda z: -z[2 * n :].sum(),
        start,
        jac=lambda _: slope_of_sum,
        bounds=[(0.0, 1.0)] * (2 * n) + [(0.0, 0.5)] * n,
        constraints={"type": "ineq", "fun": gaps, "jac": slopes},
        method="SLSQP",
        options={"maxiter": max(int(steps), 1), "ftol": 1e-10},
    )
    return np.ascontiguousarray(answer.x.reshape(3, n).T)
