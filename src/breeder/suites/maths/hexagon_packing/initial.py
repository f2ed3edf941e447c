"""Unit hexagons in a small hexagon: multistart of SLSQP on separating axes."""

import time

import numpy as np
from scipy.optimize import minimize

# EVOLVE-BLOCK-START
STEPS = 120  # most iterations of the solver
ROOM = 4.6  # side of the hexagon around a start
ONWARD = 0.4  # share of starts that disturb the best
COUNT = 1  # hexagons that are put elsewhere in a disturbed copy
SPREAD = 0.1  # standard deviation of a displacement, and of a turn in radians

SIXTH = np.pi / 3.0
NORMALS = np.pi / 6.0 + SIXTH * np.arange(3)


def support(angle):
    """Return how far a unit hexagon reaches at an angle from a corner, and the slope."""
    off = (angle + SIXTH / 2.0) % SIXTH - SIXTH / 2.0
    return np.cos(off), -np.sin(off)


def gaps(v, n):
    """Return the gaps of all pairs along their best axes and the room to the sides, and slopes."""
    x, y, turn = v[:-1].reshape(3, n)
    i, j = np.triu_indices(n, 1)
    dx, dy = x[j] - x[i], y[j] - y[i]
    angles = np.stack([turn[i] + a for a in NORMALS] + [turn[j] + a for a in NORMALS])
    along = dx * np.cos(angles) + dy * np.sin(angles)
    best, at = np.abs(along).argmax(axis=0), np.arange(len(i))
    sign, angle = np.sign(along[best, at]), angles[best, at]
    reach, by_turn = support(turn[j] - turn[i] + SIXTH / 2.0)
    pairs = np.abs(along[best, at]) - np.sqrt(0.75) - reach
    table = np.zeros((len(i), 3 * n + 1))
    table[at, i], table[at, j] = -sign * np.cos(angle), sign * np.cos(angle)
    table[at, n + i], table[at, n + j] = -sign * np.sin(angle), sign * np.sin(angle)
    whose = np.where(best < 3, i, j)
    table[at, 2 * n + whose] += sign * (dy * np.cos(angle) - dx * np.sin(angle))
    table[at, 2 * n + j] -= by_turn
    table[at, 2 * n + i] += by_turn
    values, slopes, one = [pairs], [table], np.arange(n)
    for normal in np.concatenate([NORMALS, NORMALS + np.pi]):
        reach, by_turn = support(normal - turn)
        values.append(v[-1] * np.sqrt(0.75) - x * np.cos(normal) - y * np.sin(normal) - reach)
        side = np.zeros((n, 3 * n + 1))
        side[one, one], side[one, n + one] = -np.cos(normal), -np.sin(normal)
        side[one, 2 * n + one], side[:, -1] = by_turn, np.sqrt(0.75)
        slopes.append(side)
    return np.concatenate(values), np.vstack(slopes)


def solved(hexagons, side):
    """Minimise the side of the hexagon around; return hexagons in radians, and the side."""
    n = len(hexagons)
    goal = np.append(np.zeros(3 * n), 1.0)
    answer = minimize(
        lambda v: v[-1],
        np.append(hexagons.T.ravel(), side),
        jac=lambda v: goal,
        constraints={
            "type": "ineq",
            "fun": lambda v: gaps(v, n)[0],
            "jac": lambda v: gaps(v, n)[1],
        },
        method="SLSQP",
        options={"maxiter": STEPS, "ftol": 1e-11},
    )
    return pushed(answer.x[:-1].reshape(3, n).T)


def pushed(hexagons):
    """Part hexagons that overlap a little by a common factor; return them, and the side around."""
    n = len(hexagons)
    i, j = np.triu_indices(n, 1)
    apart = np.sqrt(0.75) + support(hexagons[j, 2] - hexagons[i, 2] + SIXTH / 2.0)[0]
    over = np.maximum(-gaps(np.append(hexagons.T.ravel(), 0.0), n)[0][: len(i)], 0.0)
    factor = (apart / np.maximum(apart - over, 1e-3)).max()
    hexagons = hexagons * [factor, factor, 1.0]
    normals = np.concatenate([NORMALS, NORMALS + np.pi])
    across = hexagons[:, :1] * np.cos(normals) + hexagons[:, 1:2] * np.sin(normals)
    reach = (across + support(normals - hexagons[:, 2:])[0]).max(axis=0)
    return hexagons, reach.max() / np.sqrt(0.75)


def random_hexagons(n, rng):
    """Return n hexagons at random: x, y, angle of a corner."""
    reach = (ROOM - 1.0) * np.sqrt(rng.random(n))
    at = 2.0 * np.pi * rng.random(n)
    return np.column_stack([reach * np.cos(at), reach * np.sin(at), SIXTH * rng.random(n)])


def search(family, n, best, seed, cpu_seconds):
    """Return the hexagons with the smallest hexagon around them, `best` included."""
    end = time.process_time() + cpu_seconds - 0.8
    rng = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(n)))
    at = np.arange(n)
    rows = np.column_stack([at % columns, at // columns, at]) - [columns / 2, columns / 2, 0.0]
    top, value = pushed(
        np.column_stack([1.75 * rows[:, 0], 2.125 * rows[:, 1], np.full(n, SIXTH / 2)])
    )
    known = best is not None
    if known:
        turn = np.deg2rad(best["outer_angle_deg"])
        x, y, degrees = np.asarray(best["hexagons"], dtype=float).T
        places = (x + 1j * y) * np.exp(-1j * turn)
        top = np.column_stack([places.real, places.imag, np.deg2rad(degrees) - turn])
        top, value = pushed(top)
    while time.process_time() < end:
        start = random_hexagons(n, rng)
        if known and rng.random() < ONWARD:
            start = top + SPREAD * rng.normal(size=(n, 3))
            chosen = rng.choice(n, size=min(COUNT, n), replace=False)
            start[chosen] = random_hexagons(len(chosen), rng)
        found, side = solved(start, ROOM)
        if side < value:
            top, value, known = found, side, True
    answer = np.column_stack([top[:, :2], np.rad2deg(top[:, 2])])
    return {"hexagons": answer.tolist(), "outer_angle_deg": 0.0}


# EVOLVE-BLOCK-END
