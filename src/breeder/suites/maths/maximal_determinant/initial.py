"""Matrices of signs with a large determinant: single changes of sign, the best first; restarts."""

import time

import numpy as np

# EVOLVE-BLOCK-START
ONWARD = 0.5  # share of starts that disturb the best
CHANGED = 12  # signs that a disturbance changes
REFRESH = 20  # changes after which the inverse is computed anew


def climbed(matrix):
    """Change the sign that raises the size of the determinant most until none does.

    A change at (i, j) multiplies the determinant by 1 - 2 a_ij (A^-1)_ji.
    """
    matrix, changes = matrix.copy(), 0
    inverse = np.linalg.inv(matrix)
    while True:
        factors = np.abs(1.0 - 2.0 * matrix * inverse.T)
        i, j = np.unravel_index(factors.argmax(), factors.shape)
        if factors[i, j] <= 1.0 + 1e-9:
            return matrix
        step = -2.0 * matrix[i, j]
        matrix[i, j] += step
        changes += 1
        if changes % REFRESH == 0:
            inverse = np.linalg.inv(matrix)
        else:
            column, row = inverse[:, i], inverse[j]
            inverse = inverse - step * np.outer(column, row) / (1.0 + step * inverse[j, i])


def search(n, best, seed, cpu_seconds):
    """Return the matrix with the largest determinant that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    top = None if best is None else np.asarray(best, dtype=float)
    value = -np.inf if top is None else np.linalg.slogdet(top)[1]
    while top is None or time.process_time() < end:
        start = rng.choice([-1.0, 1.0], size=(n, n))
        if top is not None and rng.random() < ONWARD:
            start = top.copy()
            start.flat[rng.choice(n * n, size=CHANGED, replace=False)] *= -1.0
        try:
            found = climbed(start)
        except np.linalg.LinAlgError:  # a singular start
            continue
        reached = np.linalg.slogdet(found)[1]
        if reached > value + 1e-9:
            top, value = found, reached
    return np.rint(top).astype(int)


# EVOLVE-BLOCK-END
