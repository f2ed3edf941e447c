"""Kissing configurations from whole orbits: heads with all signs, tails in a space of their own.

All vectors have the squared norm 4, so two directions are 60 degrees or more apart where their
inner product is at most 2. The last coordinates of a vector are its tail, the others its head. An
orbit has a vector with all signs of the head's entries, and of the tail as a whole. Orbits that
clash with themselves are dropped; of the others, a tabu search looks for the heaviest set in which
no two clash. Without tails this is the construction from codes of J. Leech and N. Sloane, "Sphere
packing and error-correcting codes" (1971). With them, heads are glued to vectors of another space
(J. Conway and N. Sloane, "Sphere packings, lattices and groups", chapter 4).
"""

import itertools
import math
import time

import numpy as np

NORM = 4  # squared, of all vectors; two of them clash above half of it
MOST = 4000  # orbits of a pool
ROUNDS = 8000  # of the tabu search without a gain after which another pool is drawn
TABU = 6  # rounds for which an orbit that was put out stays out, at least


def root(square):
    """Return p, q >= 0 with (p + q sqrt(2))^2 = square and one of them 0, or None."""
    for way, part in ((0, square), (1, square / 2)):
        whole = math.isqrt(int(part))
        if whole * whole == part:
            return (0, whole) if way else (whole, 0)
    return None


def arrangements(entries):
    """Return the distinct orders of the entries."""
    return sorted(set(itertools.permutations(entries)))


def heads(squares, k, scale):
    """Return what a head's entries may be on k coordinates, rows of pairs p, q, scaled."""
    roots = [root(square * scale * scale) for square in squares]
    if None in roots or len(roots) > k:
        return np.zeros((0, k, 2), dtype=int)
    rows = []
    for places in itertools.combinations(range(k), len(roots)):
        for order in arrangements(roots):
            row = np.zeros((k, 2), dtype=int)
            row[list(places)] = np.array(order, dtype=int).reshape(-1, 2)
            rows.append(row)
    return np.array(rows)


def tails(shape, m):
    """Return one of every two opposite tails of a shape, rows of pairs p, q."""
    way, entries = shape
    rows = []
    for order in arrangements(entries):
        for signs in itertools.product((1, -1), repeat=m):
            row = tuple(sign * entry for sign, entry in zip(signs, order, strict=True))
            if row >= tuple(-entry for entry in row) and row not in rows:
                rows.append(row)
    pairs = np.zeros((len(rows), m, 2), dtype=int)
    pairs[:, :, way] = np.array(rows, dtype=int).reshape(len(rows), m)
    return pairs


def clashes(orbits, m, scale):
    """Return which two orbits have vectors that are too close."""
    entries = (orbits[:, :, 0] + math.sqrt(2) * orbits[:, :, 1]) / scale
    split = orbits.shape[1] - m
    head, tail = entries[:, :split], entries[:, split:]
    near = head @ head.T + np.abs(tail @ tail.T) > NORM / 2 + 1e-9
    np.fill_diagonal(near, False)
    return near


def members(orbit, m):
    """Return all vectors of an orbit, rows p0, q0, p1, q1, ..."""
    rows = [orbit]
    split = len(orbit) - m
    units = [slice(at, at + 1) for at in range(split)] + [slice(split, None)]
    for unit in units:
        if orbit[unit].any():
            turned = [row.copy() for row in rows]
            for row in turned:
                row[unit] *= -1
            rows += turned
    return [row.ravel() for row in rows]


def signs_are_free(squares, left):
    """Return whether two vectors never clash that differ by signs, of the head or of the tail."""
    parts = [part for part in (*squares, left) if part]
    return left >= 0 and (min(parts) >= NORM / 4 or not squares)


# EVOLVE-BLOCK-START
HEADS = ((1, 1, 1, 1), (1, 1, 1), (1, 1), (1,), (), (4,))  # squared entries; the tail has the rest
TAIL = 3  # most coordinates of a tail
DENOMINATOR = 3  # largest of all entries
SHAPES = 1  # of tails, that one construction has beside each head; without a head it has all


def shapes(m, square):
    """Return the entries up to order and sign of m integers, or of m multiples of sqrt(2)."""
    found = []
    for way, part in ((0, square), (1, square / 2)):
        if part != int(part) or (way and not square):
            continue
        entries = range(math.isqrt(int(part)) + 1)
        for shape in itertools.combinations_with_replacement(entries, m):
            if sum(entry * entry for entry in shape) == part:
                found.append((way, shape))
    return found


def pool(d, m, scale, rng):
    """Return orbits as rows of pairs p, q, scaled: each kind of head with some shapes of tails."""
    found = []
    for squares in HEADS:
        left = NORM - sum(squares)
        if not signs_are_free(squares, left):
            continue
        kinds = shapes(m, left * scale * scale)
        if squares and kinds:
            drawn = rng.permutation(len(kinds))[:SHAPES]
            kinds = [kinds[i] for i in drawn]
        for kind in kinds:
            one, other = heads(squares, d - m, scale), tails(kind, m)
            if len(one) * len(other):
                both = [np.repeat(one, len(other), axis=0), np.tile(other, (len(one), 1, 1))]
                found.append(np.concatenate(both, axis=1))
    return np.concatenate(found) if found else np.zeros((0, d, 2), dtype=int)


# EVOLVE-BLOCK-END


def heaviest(weight, near, end, rng):
    """Return a set of orbits without clashes, as heavy as a tabu search finds."""
    count, nearby = len(weight), [np.flatnonzero(row) for row in near]
    chosen, load = np.zeros(count, dtype=bool), np.zeros(count)
    free, best, now = np.zeros(count, dtype=int), chosen.copy(), 0
    most, round_, last = 0, 0, 0
    while round_ < last + ROUNDS and time.process_time() < end:
        round_ += 1
        cost = load - weight + rng.random(count) + 1e6 * (chosen | (free > round_))
        orbit = int(cost.argmin())
        leave = nearby[orbit][chosen[nearby[orbit]]]
        chosen[leave] = False
        free[leave] = round_ + TABU + rng.integers(0, TABU, len(leave))
        for gone in leave:
            load[nearby[gone]] -= weight[gone]
        now += weight[orbit] * (not chosen[orbit]) - weight[leave].sum()
        load[nearby[orbit]] += weight[orbit] * (not chosen[orbit])
        chosen[orbit] = True
        if now > most:
            most, best, last = now, chosen.copy(), round_
    return best


def search(d, best, seed, cpu_seconds):
    """Return the largest configuration that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    most, found = (0, None) if best is None else (len(best), best)
    while found is None or time.process_time() < end:
        m = int(rng.integers(min(TAIL, d) + 1))
        scale = int(rng.integers(max(DENOMINATOR, 1))) + 1
        orbits = pool(d, m, scale, rng)
        if not 0 < len(orbits) <= MOST:
            continue
        head, tail = orbits[:, : d - m].any(axis=2), orbits[:, d - m :].any(axis=(1, 2))
        weight = 2 ** (head.sum(axis=1) + tail)
        chosen = heaviest(weight, clashes(orbits, m, scale), end, rng)
        if weight[chosen].sum() > most:
            most = int(weight[chosen].sum())
            found = np.array([row for orbit in orbits[chosen] for row in members(orbit, m)])
    return found
