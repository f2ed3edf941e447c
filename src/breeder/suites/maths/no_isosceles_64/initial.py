"""No isosceles triangles: tabu search over sets of grid points that are symmetric in both axes."""

import time

import numpy as np

# EVOLVE-BLOCK-START
TENURE = 4  # swaps for which a group that left the set stays out
STAY = 2  # swaps for which a group that entered the set stays in
JITTER = 6  # most swaps more, at random
PATIENCE = 3000  # swaps without fewer clashes after which the set is shaken
SHAKE = 0.3  # share of the groups that are exchanged then
ALONE = 3  # clashes that two groups count which do not fit together in any set
KEPT = 120_000  # rows of the table of clashes that are kept


class Clashes:
    """Which symmetric groups of four points cannot be in one set.

    The distances from one point of group i to the four of group j are the same four whichever point
    it is, so three groups clash exactly where two of their three sets of distances meet.
    """

    def __init__(self, n):
        half = n // 2
        cells = np.array([(x, y) for x in range(half) for y in range(half) if x != y])
        x, y = cells.T
        self.points = np.stack([(x, y), (n - 1 - x, y), (x, n - 1 - y), (n - 1 - x, n - 1 - y)])
        self.points = self.points.transpose(2, 0, 1)  # (groups, 4, 2)
        apart = self.points[:, None, :1] - self.points[None]
        self.apart = (apart**2).sum(axis=3).astype(np.int32)  # (groups, groups, 4)
        self.known = {}
        groups = np.arange(len(cells))
        own = self.apart[groups, groups, 1:]
        ordered = np.sort(self.apart, axis=2)
        pair = (ordered[:, :, 1:] == ordered[:, :, :-1]).any(axis=2)
        pair |= meet(self.apart, own[:, None, :]) | meet(self.apart, own[None, :, :])
        pair[groups, groups] = False
        self.pair = ALONE * pair.astype(np.int32)

    def rows(self, i, others):
        """Return with which groups each pair (i, other) clashes, (others, groups)."""
        missing = [j for j in others if (i, j) not in self.known]
        if missing:
            if len(self.known) > KEPT:
                self.known.clear()
                missing = others
            one, two = self.apart[i, missing], self.apart[missing]  # (k, 4), (k, groups, 4)
            found = meet(self.apart[i][None], one[:, None]) | meet(two, one[:, None])
            found |= meet(self.apart[i][None], two)
            for row, j in zip(found, missing, strict=True):
                row[[i, j]] = False
                self.known[i, j] = self.known[j, i] = row
        return np.array([self.known[i, j] for j in others], dtype=np.int32)


def meet(one, other):
    """Return whether two sets of distances have one in common, over the last axis."""
    found = np.zeros(np.broadcast_shapes(one.shape[:-1], other.shape[:-1]), dtype=bool)
    for k in range(other.shape[-1]):
        for m in range(one.shape[-1]):
            found |= one[..., m] == other[..., k]
    return found


class State:
    """A set of groups with its clashes.

    `with_[a]` counts, for every group, the clashes that it and the a-th of the set take part in;
    `load` the clashes of every group with the set.
    """

    def __init__(self, clashes, chosen):
        self.clashes, self.chosen = clashes, list(chosen)
        self.with_ = np.array(
            [
                clashes.rows(i, [j for j in chosen if j != i]).sum(axis=0) + clashes.pair[i]
                for i in chosen
            ]
        )
        self.refresh()

    def refresh(self):
        """Sum up: a clash of three is counted by both of its groups in the set, a pair by one."""
        total, pairs = self.with_.sum(axis=0), self.clashes.pair[self.chosen].sum(axis=0)
        self.load = (total + pairs) // 2

    def swap(self, a, k):
        """Put group k in the place of the a-th."""
        old, rest = self.chosen[a], [j for j in self.chosen if j != self.chosen[a]]
        places = [b for b in range(len(self.chosen)) if b != a]
        new_rows, old_rows = self.clashes.rows(k, rest), self.clashes.rows(old, rest)
        self.with_[places] += new_rows - old_rows
        self.with_[a] = new_rows.sum(axis=0) + self.clashes.pair[k]
        self.chosen[a] = k
        self.refresh()


def solved(clashes, chosen, rng, end):
    """Return a set of as many groups without a clash, or None when the time is over."""
    state, round_ = State(clashes, chosen), 0
    groups = len(clashes.pair)
    blocked_in, blocked_out = np.zeros(groups, dtype=int), np.zeros(len(chosen), dtype=int)
    least, stale = state.load[state.chosen].sum(), 0
    while state.load[state.chosen].any():
        round_ += 1
        if time.process_time() > end:
            return None
        clashing = np.flatnonzero(state.load[state.chosen])
        own = state.load[state.chosen][clashing]
        change = state.load[None, :] - state.with_[clashing] - own[:, None]
        barred = (blocked_in > round_)[None, :] | (blocked_out[clashing] > round_)[:, None]
        wish = change + rng.random(change.shape, dtype=np.float32) + 1e6 * barred
        wish[:, state.chosen] = np.inf
        row, k = divmod(int(wish.argmin()), groups)
        a = int(clashing[row])
        blocked_in[state.chosen[a]] = round_ + TENURE + rng.integers(0, JITTER + 1)
        blocked_out[a] = round_ + STAY + rng.integers(0, JITTER + 1)
        state.swap(a, k)
        now, stale = state.load[state.chosen].sum(), stale + 1
        if now < least:
            least, stale = now, 0
        if stale > PATIENCE:
            kept = [j for j in state.chosen if rng.random() >= SHAKE]
            free = np.setdiff1d(np.arange(groups), kept)
            more = rng.choice(free, size=len(chosen) - len(kept), replace=False)
            state = State(clashes, [*kept, *map(int, more)])
            least, stale = state.load[state.chosen].sum(), 0
    return state.chosen


def grown(clashes, rng):
    """Return a set to which no group can be added."""
    chosen, load = [], np.zeros(len(clashes.pair))
    while (load == 0).any():
        k = int(rng.choice(np.flatnonzero(load == 0)))
        load += clashes.pair[k]
        if chosen:
            load += clashes.rows(k, chosen).sum(axis=0)
        load[k] = 1
        chosen.append(k)
    return chosen


def search(n, best, seed, cpu_seconds):
    """Return the largest set of points that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.1
    rng = np.random.default_rng(seed)
    clashes = Clashes(n)
    place = {tuple(points[0]): i for i, points in enumerate(clashes.points.tolist())}
    top = grown(clashes, rng)
    if best is not None:
        known = [place[tuple(p)] for p in best if tuple(p) in place]
        if 4 * len(known) != len(best):
            return best
        top = known
    while time.process_time() < end:
        spare = np.setdiff1d(np.arange(len(clashes.pair)), top)
        found = solved(clashes, [*top, int(rng.choice(spare))], rng, end)
        if found is None:
            break
        top = found
    return clashes.points[top].reshape(-1, 2)


# EVOLVE-BLOCK-END
