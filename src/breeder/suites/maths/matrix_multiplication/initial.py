"""Matrix multiplication: many walks at once on the flip graph over F2, lifted to the integers.

Flips and lifting: M. Kauers and J. Moosbauer, "Flip graphs for matrix multiplication" (2022). Plus
transitions: Y. Arai, Y. Ichikawa and K. Hukushima, "Adaptive flip graph algorithm" (2024).
"""

import time

import numpy as np

# EVOLVE-BLOCK-START
WALKS = 400  # walks side by side
PATIENCE = 6_000  # steps without a new lowest rank after which a walk splits two products
ABOVE = 2  # products above the lowest rank of all from which a walk starts again
BATCH = 500  # steps between looks at the clock
LIFTS = 8  # schemes of the lowest rank that are lifted at a look
SIGNS = 4  # random solutions of a lift that are tried


def definition(n, m, p):
    """Return the n m p products of the definition, (3, products) masks of the factors' entries."""
    products = [
        (1 << (i * m + k), 1 << (k * p + j), 1 << (j * n + i))
        for i in range(n)
        for k in range(m)
        for j in range(p)
    ]
    return np.array(products, dtype=np.int64).T


class Walks:
    """Schemes over F2, (walks, 3, products); a product of zeros is an empty place."""

    def __init__(self, scheme, spare, rng):
        self.rng = rng
        places = scheme.shape[1] + spare
        self.terms = np.zeros((WALKS, 3, places), dtype=np.int32)
        self.terms[:, :, : scheme.shape[1]] = scheme
        self.rank = np.full(WALKS, np.count_nonzero(scheme[0]))
        self.lowest, self.since = self.rank.copy(), np.zeros(WALKS, dtype=int)
        self.keys = rng.integers(1, 256, size=(WALKS + 4096, places), dtype=np.uint8)

    def flip(self, steps):
        """Take so many steps: a b c + a b' c' = a (b + b') c + a b' (c + c')."""
        terms, rng = self.terms, self.rng
        walk, places = np.arange(WALKS), terms.shape[2]
        ones = rng.integers(0, places, size=(steps, WALKS))
        modes = rng.integers(0, 6, size=(steps, WALKS))
        shifts = rng.integers(0, 4096, size=steps)
        for one, mode, shift in zip(ones, modes, shifts, strict=True):
            x = mode % 3
            factor = terms[walk, x, one]
            equal = terms[walk, x] == factor[:, None]
            equal[walk, one] = False
            drawn = equal * self.keys[shift : shift + WALKS]
            other = drawn.argmax(axis=1)
            able = np.flatnonzero((drawn[walk, other] > 0) & (factor != 0))
            i, j, x, side = one[able], other[able], x[able], mode[able] // 3
            y, z = (x + 1 + side) % 3, (x + 2 - side) % 3
            first = terms[able, y, i] ^ terms[able, y, j]
            second = terms[able, z, j] ^ terms[able, z, i]
            terms[able, y, i], terms[able, z, j] = first, second
            gone = np.flatnonzero((first == 0) | (second == 0))
            for g in gone:
                for place, left in ((i[g], first[g]), (j[g], second[g])):
                    if left == 0:
                        terms[able[g], :, place] = 0
                        self.rank[able[g]] -= 1
        self.since += steps

    def renew(self):
        """Split products of walks that are stuck; start those that are far above again."""
        better = self.rank < self.lowest
        self.since[better], self.lowest[better] = 0, self.rank[better]
        top = self.rank.min()
        best = np.flatnonzero(self.rank == top)
        for walk in np.flatnonzero(self.since > PATIENCE):
            if self.rank[walk] >= top + ABOVE or not self.plus(walk):
                source = self.rng.choice(best)
                self.terms[walk], self.rank[walk] = self.terms[source], self.rank[source]
            self.lowest[walk], self.since[walk] = self.rank[walk], 0

    def plus(self, walk):
        """Split two products: a b c + a' b' c' = a (b + b') c + a b' (c + c') + (a + a') b' c'."""
        scheme = self.terms[walk]
        empty, full = np.flatnonzero(scheme[0] == 0), np.flatnonzero(scheme[0])
        if not len(empty):
            return False
        i, j = self.rng.choice(full, size=2, replace=False)
        x, y, z = self.rng.permutation(3)
        if (scheme[:, i] == scheme[:, j]).any():
            return True
        third = scheme[:, j].copy()
        third[x] ^= scheme[x, i]
        second = scheme[:, i].copy()
        second[y] = scheme[y, j]
        second[z] ^= scheme[z, j]
        scheme[y, i] ^= scheme[y, j]
        scheme[:, j], scheme[:, empty[0]] = second, third
        self.rank[walk] += 1
        return True


def bits(scheme, sizes):
    """Return the factors of a scheme as 0-1 matrices, rows by products."""
    held = scheme[:, scheme[0] != 0]
    return [(held[x][None, :] >> np.arange(size)[:, None]) & 1 for x, size in enumerate(sizes)]


def solved(matrix, right, rng):
    """Return a random solution of a linear system over F2, or None."""
    rows, columns = matrix.shape
    width = (columns + 64) // 64 * 64
    work = np.zeros((rows, width), dtype=np.uint8)
    work[:, :columns], work[:, columns] = matrix, right
    work = np.packbits(work, axis=1).view(np.uint64)
    word, bit = np.divmod(np.arange(columns + 1), 64)
    masks = np.packbits(np.eye(64, dtype=np.uint8), axis=1).view(np.uint64)[:, 0]
    rank, pivots = 0, []
    for c in range(columns):
        column = (work[:, word[c]] & masks[bit[c]]) != 0
        below = np.flatnonzero(column[rank:])
        if not len(below):
            continue
        pivot = rank + below[0]
        work[[rank, pivot]] = work[[pivot, rank]]
        column[[rank, pivot]] = column[[pivot, rank]]
        column[rank] = False
        work[column] ^= work[rank]
        pivots.append(c)
        rank += 1
    end = (work[:, word[columns]] & masks[bit[columns]]) != 0
    if end[rank:].any():
        return None
    dense = np.unpackbits(work[:rank].view(np.uint8), axis=1)[:, :columns]
    found = rng.integers(0, 2, size=columns)
    found[pivots] = 0
    found[pivots] = (dense @ found + end[:rank]) % 2
    return found


def tensor(factors):
    """Return the sum of the products, (rows of u, of v, of w)."""
    return np.einsum("ir,jr,kr->ijk", *factors)


def lifted(scheme, wanted, rng):
    """Return integer factors with entries -1, 0, 1 that are the scheme modulo 2, or None.

    An entry that is odd is 1 + 2 s, so that modulo 4 the signs s solve a linear system over F2.
    """
    factors = bits(scheme, wanted.shape)
    error = (tensor(factors) - wanted) // 2 % 2
    support = [np.argwhere(factor) for factor in factors]
    columns = []
    for x, entries in enumerate(support):
        y, z = (other for other in range(3) if other != x)
        for row, r in entries:
            made = np.zeros(wanted.shape, dtype=np.uint8)
            np.moveaxis(made, x, 0)[row] = np.outer(factors[y][:, r], factors[z][:, r])
            columns.append(made.ravel())
    matrix = np.array(columns, dtype=np.uint8).T
    for _ in range(SIGNS):
        signs = solved(matrix, error.ravel(), rng)
        if signs is None:
            return None
        start, made = 0, []
        for factor, entries in zip(factors, support, strict=True):
            signed = factor.astype(int)
            part = signs[start : start + len(entries)]
            signed[tuple(entries.T)] -= 2 * part
            start += len(entries)
            made.append(signed)
        if (tensor(made) == wanted).all():
            return made
    return None


def reduced(best):
    """Return a known algorithm modulo 2 as masks, or None where it has no such form."""
    masks = []
    for name in "uvw":
        entries = np.array(best[name])
        if best["scale"] % 2 == 0 or entries[..., 1].any():
            return None
        odd = entries[..., 0] % 2
        masks.append((odd << np.arange(len(odd))[:, None]).sum(axis=0))
    found = np.array(masks)
    return found[:, (found != 0).all(axis=0)]


def encoded(factors):
    """Return integer factors as an algorithm."""
    return {
        "scale": 1,
        **{name: factor.tolist() for name, factor in zip("uvw", factors, strict=True)},
    }


def search(n, m, p, best, seed, cpu_seconds):
    """Return the algorithm with the fewest products that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    first = definition(n, m, p)
    wanted = tensor(bits(first, (n * m, m * p, p * n)))
    begin = first if best is None else reduced(best)
    if begin is None:
        return best
    top = encoded(bits(first, wanted.shape)) if best is None else best
    lowest = len(top["u"][0])
    walks = Walks(begin, ABOVE + 1, rng)
    while time.process_time() < end:
        walks.flip(BATCH)
        rank = walks.rank.min()
        if rank < lowest:
            for walk in rng.permutation(np.flatnonzero(walks.rank == rank))[:LIFTS]:
                made = lifted(walks.terms[walk], wanted, rng)
                if made is not None:
                    top, lowest = encoded(made), rank
                    break
        walks.renew()
    return top


# EVOLVE-BLOCK-END
