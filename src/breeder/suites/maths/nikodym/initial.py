"""Nikodym sets in planes over F_q, q = p^2: what is left out is chosen greedily, in random order.

Through every point x goes a line on which no point but x itself may be left out.
"""

import time

import numpy as np

# EVOLVE-BLOCK-START
REMOVED = 0.2  # share of the points left out that are put back in a disturbed copy
ONWARD = 0.7  # share of orders that go on from the best


def plane(p):
    """Return the points of each line, (q^2 + q, q), and the lines through each, (q^2, q + 1).

    A number a + b i is a p + b, with i^2 the least number that is no square.
    """
    q = p * p
    square = next(s for s in range(p) if all(t * t % p != s for t in range(p)))
    a, b = np.arange(q) // p, np.arange(q) % p
    plus = (a[:, None] + a) % p * p + (b[:, None] + b) % p
    times = (a[:, None] * a + square * b[:, None] * b) % p * p + (
        a[:, None] * b + b[:, None] * a
    ) % p
    x = np.arange(q)
    lines = [x * q + plus[times[slope, x], shift] for slope in range(q) for shift in range(q)]
    lines = np.array(lines + [place * q + x for place in range(q)])
    through = [[] for _ in range(q * q)]
    for number, line in enumerate(lines):
        for point in line:
            through[point].append(number)
    return lines, np.array(through)


def extended(out, lines, through, order):
    """Leave out more points, in order, where every point keeps a line; `out` is a mask."""
    out = out.copy()
    load = out[lines].sum(axis=1)
    free = (load[through] == out[:, None]).sum(axis=1)  # lines that serve each point
    for point in order:
        if out[point]:
            continue
        mine = through[point]
        empty = mine[load[mine] == 0]
        single = mine[load[mine] == 1]
        if len(empty) == 0:
            continue
        # Empty lines stop serving their points, but serve this one; lines with one stop serving it.
        losers = lines[empty].ravel()
        losers = losers[losers != point]
        others = lines[single].ravel()
        others = others[out[others]]
        less = np.bincount(np.concatenate([losers, others]), minlength=len(free))
        if (less >= free)[less > 0].any():
            continue
        free -= less
        out[point] = True
        load[mine] += 1
        free[point] = (load[mine] == 1).sum()
    return out


def search(family, p, best, seed, cpu_seconds):
    """Return the smallest set that was found, `best` included: rows of two pairs."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    q = p * p
    lines, through = plane(p)
    top = np.zeros(q * q, dtype=bool)
    if best is not None:
        held = np.asarray(best).reshape(-1, 4)
        top = np.ones(q * q, dtype=bool)
        top[held @ [p * q, q, p, 1]] = False
    while True:
        start = np.zeros(q * q, dtype=bool)
        if rng.random() < ONWARD:
            start = top & (rng.random(q * q) >= REMOVED)
        found = extended(start, lines, through, rng.permutation(q * q))
        if found.sum() >= top.sum():
            top = found
        if time.process_time() > end:
            break
    kept = np.flatnonzero(~top)
    rows = np.stack([kept // q // p, kept // q % p, kept % q // p, kept % p], axis=1)
    return rows.reshape(-1, 2, 2)


# EVOLVE-BLOCK-END
