"""Matrix multiplication: a random walk on the flip graph over {-1, 0, 1}, from the definition.

M. Kauers and J. Moosbauer, "Flip graphs for matrix multiplication" (2022); with the plus transition
of Y. Arai, Y. Ichikawa and K. Hukushima, "Adaptive flip graph algorithm" (2024).
"""

import random
import time

# EVOLVE-BLOCK-START
PATIENCE = 200_000  # tries without a new rank after which two products are split into three
ABOVE = 2  # products above the best from which the walk starts again at the best
RESTART = 0.1  # share of those starts that are where the walk began
BATCH = 2_000  # tries between looks at the clock
SMALL = 12  # products n m p up to which a format is not split for a start
PREPARE = 0.25  # share of the time that goes to the parts of a split format


def added(one, other, sign):
    """Return one + sign * other, each (mask of +1, mask of -1); None outside {-1, 0, 1}."""
    plus, minus = one
    p, q = other if sign > 0 else other[::-1]
    if plus & p or minus & q:
        return None
    return (plus & ~q) | (p & ~minus), (minus & ~p) | (q & ~plus)


def normal(vector):
    """Return a vector whose first non-zero entry is +1, and the sign that was taken off."""
    plus, minus = vector
    if minus and (not plus or (minus & -minus) < (plus & -plus)):
        return (minus, plus), -1
    return vector, 1


class Scheme:
    """Products sign * a x b x c, with an index of those that share a factor."""

    def __init__(self, terms):
        self.terms = []
        self.shared = ({}, {}, {})
        for factors, sign in terms:
            self.add(factors, sign)

    def add(self, factors, sign):
        """Add a product, unless a factor is zero."""
        if any(vector == (0, 0) for vector in factors):
            return
        made = []
        for mode, vector in enumerate(factors):
            vector, change = normal(vector)
            sign *= change
            made.append(vector)
            self.shared[mode].setdefault(vector, []).append(len(self.terms))
        self.terms.append((tuple(made), sign))

    def remove(self, index):
        """Remove a product; the last one takes its place."""
        last = len(self.terms) - 1
        for mode, vector in enumerate(self.terms[index][0]):
            bucket = self.shared[mode][vector]
            bucket.remove(index)
            if not bucket:
                del self.shared[mode][vector]
        if index != last:
            for mode, vector in enumerate(self.terms[last][0]):
                bucket = self.shared[mode][vector]
                bucket[bucket.index(last)] = index
            self.terms[index] = self.terms[last]
        self.terms.pop()

    def replace(self, i, j, terms):
        """Put products in the place of products i and j."""
        for index in sorted((i, j), reverse=True):
            self.remove(index)
        for factors, sign in terms:
            self.add(factors, sign)

    def flip(self, rng):
        """Try one random flip: s b x c + s' b' x c' = (b + t b') x s c + b' x (s' c' - t s c)."""
        terms = self.terms
        i = int(rng.random() * len(terms))
        mode = int(rng.random() * 3)
        bucket = self.shared[mode][terms[i][0][mode]]
        if len(bucket) < 2:
            return
        j = bucket[int(rng.random() * len(bucket))]
        if i == j:
            return
        (one, s), (other, r) = terms[i], terms[j]
        y, z = (mode - 2, mode - 1) if rng.random() < 0.5 else (mode - 1, mode - 2)
        t = 1 if rng.random() < 0.5 else -1
        left, right = added(one[y], other[y], t), added(other[z], one[z], -t * s * r)
        if left is None or right is None:
            return
        first, second = list(one), list(other)
        first[y], second[z] = left, right
        self.replace(i, j, [(first, s), (second, r)])

    def plus(self, rng):
        """Split two products into three.

        a b c + a' b' c' = a (b + b') c + a b' (c' - c) + (a' - a) b' c'.
        """
        i, j = rng.sample(range(len(self.terms)), 2)
        (one, s), (other, r) = self.terms[i], self.terms[j]
        x, y, z = rng.sample(range(3), 3)
        sums = added(one[y], other[y], 1), added(other[z], one[z], -s * r)
        apart = added(other[x], one[x], -1)
        if None in sums or apart is None:
            return
        first, second, third = list(one), list(one), list(other)
        first[y], second[y], second[z], third[x] = sums[0], other[y], sums[1], apart
        self.replace(i, j, [(first, s), (second, r), (third, r)])


def definition(n, m, p):
    """Return the n m p products of the definition."""
    return [
        (((1 << (i * m + k), 0), (1 << (k * p + j), 0), (1 << (j * n + i), 0)), 1)
        for i in range(n)
        for k in range(m)
        for j in range(p)
    ]


def encoded(terms, sizes):
    """Return products as factor matrices, entries by row and product."""
    matrices = {"scale": 1}
    for mode, name in enumerate("uvw"):
        matrices[name] = [
            [
                ((f[mode][0] >> row & 1) - (f[mode][1] >> row & 1)) * (s if mode == 2 else 1)
                for f, s in terms
            ]
            for row in range(sizes[mode])
        ]
    return matrices


def decoded(best):
    """Return products of factor matrices, or None where entries are not -1, 0 or 1."""
    terms = []
    for r in range(len(best["u"][0])):
        factors = []
        for name in "uvw":
            plus = minus = 0
            for row, entries in enumerate(best[name]):
                real, imaginary = entries[r]
                if best["scale"] != 1 or imaginary or abs(real) > 1:
                    return None
                plus |= (real > 0) << row
                minus |= (real < 0) << row
            factors.append((plus, minus))
        terms.append((tuple(factors), 1))
    return terms


def placed(terms, part, whole, offset):
    """Return products for a block of a larger format, which begins at row, inner and column."""
    (_, m, p), (n, _, _), (rows, inner, columns) = part, part, whole
    row, middle, column = offset
    widths = (m, p, n), (inner, columns, rows)
    shifts = ((row, middle), (middle, column), (column, row))

    def moved(mask, mode):
        found = 0
        for bit in range(mask.bit_length()):
            if mask >> bit & 1:
                one, other = divmod(bit, widths[0][mode])
                found |= 1 << ((one + shifts[mode][0]) * widths[1][mode] + other + shifts[mode][1])
        return found

    return [
        (tuple((moved(a, mode), moved(b, mode)) for mode, (a, b) in enumerate(factors)), sign)
        for factors, sign in terms
    ]


def prepared(sides, seconds, rng):
    """Return products for a format from those that walks found for the halves of a long side."""
    if sides[0] * sides[1] * sides[2] <= SMALL or max(sides) < 3:
        return walked(definition(*sides), time.process_time() + seconds, rng)
    axis = max(rng.sample(range(3), 3), key=lambda a: sides[a])
    first = (sides[axis] + 1) // 2
    terms = []
    for size, at in ((first, 0), (sides[axis] - first, first)):
        part = tuple(size if a == axis else side for a, side in enumerate(sides))
        offset = tuple(at if a == axis else 0 for a in range(3))
        terms += placed(prepared(part, seconds / 3.0, rng), part, sides, offset)
    return walked(terms, time.process_time() + seconds / 3.0, rng)


def walked(top, end, rng):
    """Return the fewest products that a walk reached by the end, CPU seconds of this process."""
    start, scheme, lowest, since = top, Scheme(top), len(top), 0
    while time.process_time() < end:
        for _ in range(BATCH):
            scheme.flip(rng)
            if len(scheme.terms) < lowest:
                lowest, since = len(scheme.terms), 0
                if lowest <= len(top):
                    top = list(scheme.terms)
        since += BATCH
        if since > PATIENCE and len(scheme.terms) > 1:
            scheme.plus(rng)
            lowest, since = len(scheme.terms), 0
            if lowest > len(top) + ABOVE:
                scheme = Scheme(start if rng.random() < RESTART else top)
                lowest = len(scheme.terms)
    return top


def search(n, m, p, best, seed, cpu_seconds):
    """Return the algorithm with the fewest products that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.1
    rng = random.Random(seed)
    known = None if best is None else decoded(best)
    if best is not None and known is None:
        return best
    top = known or prepared((n, m, p), PREPARE * cpu_seconds, rng)
    return encoded(walked(top, end, rng), (n * m, m * p, p * n))


# EVOLVE-BLOCK-END
