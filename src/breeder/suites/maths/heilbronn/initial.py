"""Points without small triangles: smoothed ascent of many starts at once, then linear programs.

In the triangle, coordinates are affine, with the corners (0, 0), (1, 0), (0, 1), until the answer
is given; a convex region is the points' own hull.
"""

import itertools
import time

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, QhullError

# EVOLVE-BLOCK-START
BATCH = 48  # starts at once
STEPS = 200  # of the ascent
SOFT = 0.5  # what the smoothed minimum starts with, in units of 2 / n^2
HARD = 0.02  # and ends with
RATE = 0.01  # length of a step
HULLS = 10  # steps between two looks at the convex hulls
POLISHED = 2  # of a batch, the best
PROGRAMS = 40  # most linear programs in a row
RADIUS = 0.05  # largest change of a number in the first of them
REACH = 5.0  # triangles enter a program up to so many radii above the smallest
ONWARD = 0.3  # share of batches that disturb the best
RELOCATE = 0.5  # share of those in which points are put elsewhere
COUNT = 1  # how many points are put elsewhere
SPREAD = 0.1  # standard deviation of a displacement of all points


def triples(n):
    """Return all triples, (3, triangles), and for each of their corners whose it is."""
    corners = np.array(list(itertools.combinations(range(n), 3))).T
    return corners, [(corner[:, None] == np.arange(n)).astype(float) for corner in corners]


def doubled(points, corners):
    """Return the doubled signed areas of all triangles, (..., triangles)."""
    x, y = points[..., 0], points[..., 1]
    i, j, k = corners
    return (x[..., j] - x[..., i]) * (y[..., k] - y[..., i]) - (x[..., k] - x[..., i]) * (
        y[..., j] - y[..., i]
    )


def slopes(points, corners):
    """Return their slopes by the x of each corner, then by the y."""
    x, y = points[..., 0], points[..., 1]
    turns = [(corners[(q + 1) % 3], corners[(q + 2) % 3]) for q in range(3)]
    return [y[..., j] - y[..., k] for j, k in turns], [x[..., k] - x[..., j] for j, k in turns]


def hull(points):
    """Return the corners of the convex hull in order, and its doubled area."""
    try:
        found = ConvexHull(points)
    except QhullError:
        return np.arange(len(points)), np.inf
    return found.vertices, 2.0 * found.volume


def neighbours(points):
    """Return who comes next and before on the hull of each start; a point inside is its own."""
    after = np.tile(np.arange(points.shape[1]), (len(points), 1))
    before = after.copy()
    for row, one in enumerate(points):
        order, _ = hull(one)
        after[row, order], before[row, order] = np.roll(order, -1), np.roll(order, 1)
    return after, before


def quality(points, corners, convex):
    """Return the smallest triangle's share of the region."""
    smallest = np.abs(doubled(points, corners)).min()
    return smallest / hull(points)[1] if convex else smallest


def inside(points):
    """Return points moved into the triangle."""
    points = np.maximum(points, 0.0)
    return points / np.maximum(points.sum(axis=-1, keepdims=True), 1.0)


def ascended(points, corners, owners, convex):
    """Raise a smoothed minimum of the areas, of the area of the hull where that is the region."""
    first, second = np.zeros_like(points), np.zeros_like(points)
    unit = 2.0 / points.shape[1] ** 2
    for step in range(STEPS):
        done = step / STEPS
        signed = doubled(points, corners)
        size = np.abs(signed)
        least = size.min(axis=1, keepdims=True)
        weight = np.exp((least - size) / (unit * SOFT * (HARD / SOFT) ** done))
        weight *= np.sign(signed) / weight.sum(axis=1, keepdims=True)
        by_x, by_y = slopes(points, corners)
        slope = np.stack(
            [
                sum((weight * by) @ owner for by, owner in zip(by_x, owners, strict=True)),
                sum((weight * by) @ owner for by, owner in zip(by_y, owners, strict=True)),
            ],
            axis=2,
        )
        if convex:
            if step % HULLS == 0:
                after, before = neighbours(points)
                rows = np.arange(len(points))[:, None]
            way = points[rows, after] - points[rows, before]
            spread = (points[..., 0] * way[..., 1]).sum(axis=1)[:, None, None]
            slope -= (
                (least + unit * HARD)[..., None] / spread * np.stack([way[..., 1], -way[..., 0]], 2)
            )
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope * slope
        points = points + RATE * (1.0 - done + 0.02) * first / (np.sqrt(second) + 1e-12)
        points = points / np.sqrt(spread) if convex else inside(points)
    return points


def polished(points, corners, convex, end):
    """Raise the smallest area by linear programs with all areas linearised, in a shrinking box."""
    n, box = len(points), RADIUS
    if convex:
        points = points / np.sqrt(hull(points)[1])
    value = quality(points, corners, convex)
    for _ in range(PROGRAMS):
        if time.process_time() > end or box < 1e-11:
            break
        signed = doubled(points, corners)
        near = np.flatnonzero(np.abs(signed) < value + REACH * box)
        sign, rows = np.sign(signed[near]), np.arange(len(near))
        table = np.zeros((len(near), 2 * n + 1))
        for corner, by_x, by_y in zip(corners, *slopes(points, corners), strict=True):
            table[rows, corner[near]] -= sign * by_x[near]
            table[rows, n + corner[near]] -= sign * by_y[near]
        table[:, -1] = 1.0
        low, high = np.full(2 * n, -box), np.full(2 * n, box)
        if convex:  # the hull does not grow
            order, _ = hull(points)
            way = points[np.roll(order, -1)] - points[np.roll(order, 1)]
            region = np.zeros((1, 2 * n + 1))
            region[0, order], region[0, n + order] = way[:, 1], -way[:, 0]
            room = np.zeros(1)
        else:
            region = np.hstack([np.eye(n), np.eye(n), np.zeros((n, 1))])
            room = 1.0 - points.sum(axis=1)
            low = np.maximum(low, -points.T.ravel())
        answer = linprog(
            np.append(np.zeros(2 * n), -1.0),
            np.vstack([table, region]),
            np.concatenate([sign * signed[near], room]),
            bounds=[*zip(low, high, strict=True), (None, None)],
            method="highs-ds",
        )
        if answer.x is None:
            box /= 4.0
            continue
        trial = points + answer.x[:-1].reshape(2, n).T
        trial = trial / np.sqrt(hull(trial)[1]) if convex else inside(trial)
        reached = quality(trial, corners, convex)
        if reached > value + 1e-14:
            points, value = trial, reached
        else:
            box /= 4.0
    return points, value


def random_points(shape, rng):
    """Return points of the triangle, or of a square, which is as good a start for a hull."""
    points = rng.random((*shape, 2))
    return np.where(points.sum(axis=-1, keepdims=True) > 1.0, 1.0 - points, points)


def disturbed(points, rng):
    """Return changed copies of one set of points."""
    copies = np.tile(points, (BATCH, 1, 1))
    if rng.random() < RELOCATE:
        for copy in copies:
            chosen = rng.choice(len(points), size=min(COUNT, len(points)), replace=False)
            copy[chosen] = random_points((len(chosen),), rng)
        return copies
    return copies + SPREAD * rng.normal(size=copies.shape)


def affine(points):
    """Return points as a convex region is searched: their extents as those of the triangle."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / (high - low)


def search(family, n, best, seed, cpu_seconds):
    """Return the points whose smallest triangle is largest among those found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    convex = family == "heilbronn_convex"
    corners, owners = triples(n)
    lean = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])  # from affine coordinates to the answer's
    top, value = None, 0.0
    if best is not None:
        top = np.asarray(best, dtype=float)
        top = affine(top) if convex else inside(top @ np.linalg.inv(lean))
        value = quality(top, corners, convex)
    while time.process_time() < end or top is None:
        if top is None or rng.random() >= ONWARD:
            batch = random_points((BATCH, n), rng)
        else:
            batch = disturbed(affine(top) if convex else top, rng)
        batch = ascended(batch, corners, owners, convex)
        shares = np.array([quality(points, corners, convex) for points in batch])
        for row in np.argsort(-shares)[:POLISHED]:
            points, reached = polished(batch[row], corners, convex, end)
            if top is None or reached > value:
                top, value = points, reached
    return top if convex else top @ lean


# EVOLVE-BLOCK-END
