"""Points far apart on the sphere: descent on a repulsion, then linear programs."""

import time

import numpy as np
from scipy.optimize import fmin_l_bfgs_b, linprog
from scipy.sparse import coo_matrix

# EVOLVE-BLOCK-START
POWERS = (2.0, 16.0, 80.0)  # of the inverse distance, one descent after the other
DESCENT = 60  # iterations of each
PROGRAMS = 30  # most linear programs in a row
RADIUS = 0.05  # largest change of a coordinate in the first of them
REACH = 0.15  # pairs further apart than the nearest by more do not enter a program
PROMISE = 0.97  # of the best distance, which a descent must reach to go on
ONWARD = 0.3  # share of starts that disturb the best
SPREAD = 0.1  # standard deviation of a displacement


def on_sphere(points):
    """Return points divided by their lengths."""
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def nearest(points):
    """Return the smallest distance."""
    i, j = np.triu_indices(len(points), 1)
    return np.linalg.norm(points[i] - points[j], axis=1).min()


def descended(points, power):
    """Lower the logarithm of the sum of the distances to the power -`power`."""
    n = len(points)
    i, j = np.triu_indices(n, 1)

    def loss(flat):
        raw = flat.reshape(n, 3)
        length = np.linalg.norm(raw, axis=1, keepdims=True)
        unit = raw / length
        way = unit[i] - unit[j]
        squares = (way**2).sum(axis=1) + 1e-12
        logs = -0.5 * power * np.log(squares)
        share = np.exp(logs - logs.max())
        total = share.sum()
        force = (-power * share / total / squares)[:, None] * way
        slope = np.stack([np.bincount(i, f, n) - np.bincount(j, f, n) for f in force.T], axis=1)
        slope -= (slope * unit).sum(axis=1, keepdims=True) * unit
        return (logs.max() + np.log(total)) / power, (slope / length).ravel() / power

    return on_sphere(fmin_l_bfgs_b(loss, points.ravel(), maxiter=DESCENT)[0].reshape(n, 3))


def polished(points, end):
    """Raise the smallest squared distance by linear programs in a shrinking box."""
    n, box = len(points), RADIUS
    i, j = np.triu_indices(n, 1)
    value = nearest(points)
    for _ in range(PROGRAMS):
        if time.process_time() > end or box < 1e-12:
            break
        way = points[i] - points[j]
        apart = np.linalg.norm(way, axis=1)
        near = np.flatnonzero(apart < value + min(REACH, 4.0 * box) + 1e-9)
        unit = way[near] / apart[near][:, None]
        rows = np.arange(len(near))
        entries, places = [np.ones(len(near))], [np.full(len(near), 3 * n)]
        for axis in range(3):
            entries += [-unit[:, axis], unit[:, axis]]
            places += [3 * i[near] + axis, 3 * j[near] + axis]
        table = coo_matrix(
            (np.concatenate(entries), (np.tile(rows, 7), np.concatenate(places))),
            shape=(len(near), 3 * n + 1),
        )
        flat = coo_matrix(  # moves stay in the tangent planes
            (points.ravel(), (np.repeat(np.arange(n), 3), np.arange(3 * n))), shape=(n, 3 * n + 1)
        )
        answer = linprog(
            np.append(np.zeros(3 * n), -1.0),
            table.tocsr(),
            apart[near],
            flat.tocsr(),
            np.zeros(n),
            bounds=[(-box, box)] * (3 * n) + [(None, None)],
            method="highs",
        )
        if answer.x is None:
            box /= 4.0
            continue
        trial = on_sphere(points + answer.x[:-1].reshape(n, 3))
        if nearest(trial) > value + 1e-14:
            points, value = trial, nearest(trial)
        else:
            box /= 4.0
    return points


def search(n, best, seed, cpu_seconds):
    """Return the points whose smallest distance is largest among those found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    top = None if best is None else on_sphere(np.asarray(best, dtype=float))
    while top is None or time.process_time() < end:
        points = on_sphere(rng.normal(size=(n, 3)))
        if top is not None and rng.random() < ONWARD:
            points = on_sphere(top + SPREAD * rng.normal(size=(n, 3)))
        for power in POWERS:
            points = descended(points, power)
        if top is None or nearest(points) > PROMISE * nearest(top):
            points = polished(points, end)
        if top is None or nearest(points) > nearest(top):
            top = points
    return top


# EVOLVE-BLOCK-END
