"""Kissing configurations: shells of a lattice built on a constant-weight code, completed by swaps.

All vectors are integer with the squared norm 16, so two directions are 60 degrees or more apart
where their inner product is at most 8. J. Leech and N. Sloane, "Sphere packing and error-correcting
codes" (1971), construct configurations from codes in this way.
"""

import itertools
import time

import numpy as np

# EVOLVE-BLOCK-START
CODE_SHARE = 0.5  # share of the time that goes to the code, where nothing is known yet
TABU = 6  # rounds for which a word that left the code stays out
SHAPES = ((2, 2, 2, 2), (4,), (3, 1, 1, 1, 1, 1, 1, 1), (2, 2, 2, 1, 1, 1, 1))  # of the pool
POOL = 2000  # vectors that are drawn at a time
SHAKE = 0.0  # share of the vectors that are put out after rounds without a gain
PATIENCE = 60  # how many rounds


def code(d, end, rng):
    """Return 4-subsets of d coordinates, any two of which share at most two: a local search."""
    words = np.array(list(itertools.combinations(range(d), 4)))
    held = np.zeros((len(words), d), dtype=int)
    held[np.arange(len(words))[:, None], words] = 1
    clash = (held @ held.T > 2).astype(int)
    np.fill_diagonal(clash, 0)
    chosen, load = np.zeros(len(words), dtype=bool), np.zeros(len(words), dtype=int)
    free, best, round_ = np.zeros(len(words), dtype=int), chosen.copy(), 0
    while time.process_time() < end:
        round_ += 1
        cost = load + rng.random(len(words)) + 1000.0 * (chosen | (free > round_))
        word = int(cost.argmin())
        leave = np.flatnonzero(clash[word] & chosen)
        chosen[leave] = False
        free[leave] = round_ + TABU + rng.integers(0, TABU, len(leave))
        load -= clash[leave].sum(axis=0)
        chosen[word] = True
        load += clash[word]
        if chosen.sum() > best.sum():
            best = chosen.copy()
    return words[best]


def signed(word, entry, d):
    """Return the vectors with +-entry on the coordinates of a word and 0 elsewhere."""
    signs = np.array(list(itertools.product((1, -1), repeat=len(word))))
    vectors = np.zeros((len(signs), d), dtype=int)
    vectors[:, list(word)] = entry * signs
    return vectors


def drawn(d, rng):
    """Return random vectors of the shapes that fit."""
    shapes = [shape for shape in SHAPES if len(shape) <= d]
    pool = np.zeros((POOL, d), dtype=int)
    for row in pool:
        shape = shapes[int(rng.integers(len(shapes)))]
        row[rng.permutation(d)[: len(shape)]] = shape
    return pool * rng.choice((-1, 1), size=pool.shape)


def completed(vectors, end, rng):
    """Add vectors of a pool that fit, and swap in those that clash with one only."""
    best, stale = vectors, 0
    while time.process_time() < end:
        for vector in drawn(vectors.shape[1], rng):
            near = np.flatnonzero(vectors @ vector > 8)
            if len(near) == 0:
                vectors = np.vstack([vectors, vector])
            elif len(near) == 1:
                vectors[near[0]] = vector
        stale += 1
        if len(vectors) > len(best):
            best, stale = vectors.copy(), 0
        elif stale > PATIENCE:
            left = rng.random(len(best)) >= SHAKE
            vectors, stale = best[left].copy(), 0
    return best


def search(d, best, seed, cpu_seconds):
    """Return the largest configuration that was found, `best` included."""
    begin = time.process_time()
    end = begin + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    if best is not None and any(len(row) != d or sum(a * a for a in row) != 16 for row in best):
        return best
    if best is None:
        blocks = [signed(word, 2, d) for word in code(d, begin + CODE_SHARE * cpu_seconds, rng)]
        blocks += [signed((axis,), 4, d) for axis in range(d)]
        known = np.vstack(blocks)
    else:
        known = np.array(best, dtype=int)
    return completed(known.copy(), end, rng)


# EVOLVE-BLOCK-END
