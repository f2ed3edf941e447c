"""Ring loading: beam search over lattice instances, then sequential linear programs.

With z the choices and P_k their partial sums, Q_k = 2 P_k - P_m runs from -T to T = P_m in steps of
2 v or -2 u, and the cost is the largest |Q|. On a circle of twice the largest demand the steps of
largest demand only turn it, so an instance is a chain of the other steps with turns between them,
each of which takes every start to a set of ends. No choice is cheap where no start -T reaches T.
"""

import time
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

# EVOLVE-BLOCK-START
WIDTH = 700  # chains that go on after every step of a beam search
DENOMINATORS = (10, 10, 9, 11)  # of the lattice, which are tried in turn
EXTRA = 0  # by how much the largest |Q| that is to be ruled out exceeds the denominator
NOISE = 1.0  # how much chance decides between chains with equally few bad starts
SIZE = 0.0  # what an end more counts beside a bad start
BEAM = 0.7  # share of rounds that are beam searches, where there is something to climb from
SPREAD = 0.15  # standard deviation of a disturbance
CHANGED = 0.5  # share of the pairs that are disturbed
PROGRAMS = 40  # most linear programs in a row
RADIUS = 0.15  # largest change of a number in the first of them
LARGEST = 1000  # denominator of a number that is returned as a fraction
MOST_ROWS = 400  # roundings that enter a program, the cheapest first


class Chains:
    """Chains of steps on the lattice of multiples of 1/d, and where they can lead from each start.

    Starts and ends are places of a circle of 2 d: d even and d odd ones, which never mix, so a set
    of ends is a mask of d bits. `tables[s, c]` maps the mask of class c before step s to that after
    it, for a circle whose cut is at 0.
    """

    def __init__(self, d, extra):
        self.d, self.limit = d, d + extra
        self.steps = [(u, size - u) for size in range(1, d) for u in range(size + 1)]
        masks = np.arange(1 << d)
        self.tables = np.zeros((len(self.steps), 2, 1 << d), dtype=np.int32)
        for s, (u, v) in enumerate(self.steps):
            for parity in range(2):
                for i in range(d):
                    image = self.image(i, parity, u, v)
                    self.tables[s, parity] |= np.where(masks >> i & 1, image, 0)
        self.counts = np.array([int(mask).bit_count() for mask in masks], dtype=np.int16)

    def image(self, i, parity, u, v):
        """Return where a step can take place i: it stays where v is allowed, goes back by u + v."""
        mask, d, limit = 0, self.d, self.limit
        for q in range(-limit, limit + 1):
            if (q - 2 * i - parity) % (2 * d) == 0:
                mask |= (q + 2 * v <= limit) << i
                mask |= (q - 2 * u >= -limit) << (i - u - v) % d
        return mask

    def turned(self, ends, by):
        """Turn masks by so many places."""
        by %= self.d
        return (ends << by | ends >> (self.d - by)) & ((1 << self.d) - 1)

    def bad(self, ends):
        """Return how many starts reach the end that they must not, for the best last turn."""
        at, found = np.arange(self.d), []
        for turn in range(self.d):
            even, odd = (turn - at) % self.d, (turn - 1 - at) % self.d
            hits = (ends[:, 0] >> even & 1).sum(axis=1) + (ends[:, 1] >> odd & 1).sum(axis=1)
            found.append(hits)
        return np.min(found, axis=0), np.argmin(found, axis=0)

    def extended(self, ends, rng, width):
        """Return the most promising chains that are a step longer, and how they arise."""
        kept, keys, origins = [], [], []
        share = max(width // 20, 20)
        for cut in range(self.d):
            before = self.turned(ends, -cut)
            for s in range(len(self.steps)):
                after = np.stack([self.tables[s, c][before[:, c]] for c in range(2)], axis=1)
                after = self.turned(after, cut)
                key = self.bad(after)[0] + NOISE * rng.random(len(after))
                if SIZE:
                    key = key + SIZE * self.counts[after].sum(axis=(1, 2))
                first = np.argpartition(key, share)[:share] if len(key) > share else slice(None)
                kept.append(after[first])
                keys.append(key[first])
                origins += [(cut, s, int(row)) for row in np.arange(len(after))[first]]
        return np.concatenate(kept), np.concatenate(keys), origins

    def pairs(self, chain, turn):
        """Return the pairs (u, v) of a chain of (cut, step), with turns between them."""
        found, shift, d = [], 0, self.d
        first = chain[0][0]  # the circle can be turned so that no pair is needed for this cut
        for cut, s in chain:
            rest = (first - cut - shift) % d
            if rest:
                found.append((d - rest, rest))
            shift += rest + self.steps[s][1]
            found.append(self.steps[s])
        rest = (2 * first - turn - shift) % d
        if rest:
            found.append((d - rest, rest))
        return np.array(found, dtype=float) / d


def beam(m, d, rng, end):
    """Return pairs that cost more than 1 + EXTRA / d, or None where none was found."""
    chains = Chains(d, EXTRA)
    ends = np.broadcast_to(1 << np.arange(d), (1, 2, d)).copy()
    history = [()]
    for _ in range((m + 1) // 2):
        if time.process_time() > end:
            return None
        made, keys, origins = chains.extended(ends, rng, WIDTH)
        seen, rows = set(), []
        for row in np.argsort(keys):
            name = made[row].tobytes()
            if name not in seen:
                seen.add(name)
                rows.append(row)
            if len(rows) == WIDTH:
                break
        ends = made[rows]
        history = [(*history[origins[r][2]], origins[r][:2]) for r in rows]
        bad, turns = chains.bad(ends)
        for row in np.flatnonzero(bad == 0):
            pairs = chains.pairs(history[row], int(turns[row]))
            if len(pairs) <= m:
                return np.vstack([pairs, np.zeros((m - len(pairs), 2))])
    return None


def patterns(m):
    """Return all choices, (2^m, m): 1 where a pair adds v, 0 where it takes off u."""
    return (np.arange(1 << m)[:, None] >> np.arange(m)[None, :] & 1).astype(np.float64)


def loads(u, v, up):
    """Return the split sums of every choice, (2^m, m): twice the first k terms less all."""
    partial = np.cumsum(np.where(up > 0.0, v, -u), axis=1)
    return 2.0 * partial - partial[:, -1:]


def cost(u, v, up):
    """Return the cost of the cheapest choice."""
    split = loads(u, v, up)
    return np.abs(split).max(axis=1).min()


def rows(split, chosen, up):
    """Return the slope of the largest split sum of some choices by u and v, (choices, 2 m)."""
    m = up.shape[1]
    at = np.abs(split[chosen]).argmax(axis=1)
    sign = np.sign(split[chosen, at])
    weight = np.where(np.arange(m)[None, :] <= at[:, None], 1.0, -1.0) * sign[:, None]
    return np.concatenate([-weight * (1.0 - up[chosen]), weight * up[chosen]], axis=1)


def climb(u, v, up, end):
    """Raise the cheapest choice by linear programs in a shrinking box of changes."""
    m, radius = len(u), RADIUS
    split = loads(u, v, up)
    costs = np.abs(split).max(axis=1)
    eye = np.eye(m)
    for _ in range(PROGRAMS):
        if time.process_time() > end or radius < 1e-9:
            break
        chosen = np.argsort(costs)[:MOST_ROWS]
        slope = rows(split, chosen, up)
        upper = np.block([[-slope, np.ones((len(chosen), 1))], [eye, eye, np.zeros((m, 1))]])
        now = np.concatenate([u, v])
        low, high = np.maximum(-radius, -now), np.minimum(radius, 1.0 - now)
        answer = linprog(
            np.append(np.zeros(2 * m), -1.0),
            upper,
            np.concatenate([costs[chosen], 1.0 - u - v]),
            bounds=[*zip(low, high, strict=True), (None, None)],
            method="highs-ds",
        )
        if answer.x is None:
            radius *= 0.5
            continue
        u2, v2 = np.clip(u + answer.x[:m], 0.0, 1.0), np.clip(v + answer.x[m:-1], 0.0, 1.0)
        split2 = loads(u2, v2, up)
        costs2 = np.abs(split2).max(axis=1)
        if costs2.min() > costs.min() + 1e-12:
            u, v, split, costs = u2, v2, split2, costs2
        else:
            radius /= 3.0
    return u, v, costs.min()


def disturbed(pairs, rng):
    """Return pairs of which some were changed."""
    changed = rng.random(pairs.shape) < CHANGED * rng.random()
    moved = np.clip(
        pairs + changed * SPREAD * rng.random() * rng.normal(size=pairs.shape), 0.0, 1.0
    )
    return moved / np.maximum(moved.sum(axis=1, keepdims=True), 1.0)


def exact(number):
    """Return a number that is a small fraction but for rounding as that fraction, "p/q"."""
    near = Fraction(number).limit_denominator(LARGEST)
    fraction = near.denominator > 1 and abs(near - number) < 1e-13
    return str(near) if fraction else float(number)


def search(m, best, seed, cpu_seconds):
    """Return the pairs (u, v) whose cheapest choice is dearest among those found, `best` too."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    up = patterns(m)
    pairs = np.full((m, 2), 0.5) if best is None else np.asarray(best, dtype=float)
    value, round_ = cost(*pairs.T, up), 0 if best is None else int(rng.integers(99))
    while time.process_time() < end:
        if value <= 1.0 + 1e-9 or rng.random() < BEAM:
            found = beam(m, DENOMINATORS[round_ % len(DENOMINATORS)], rng, end)
            round_ += 1
        else:
            found = disturbed(pairs, rng)
        if found is not None:
            u, v, reached = climb(*found.T, up, end)
            if reached > value:
                pairs, value = np.column_stack([u, v]), reached
    return [[exact(u), exact(v)] for u, v in pairs]


# EVOLVE-BLOCK-END
