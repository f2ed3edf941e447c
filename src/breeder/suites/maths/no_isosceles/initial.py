"""No isosceles triangles: local search over sets of grid points that are symmetric in both axes."""

import time

import numpy as np

# EVOLVE-BLOCK-START
TABU = 8  # rounds for which a symmetric group of points that was put out stays out
JITTER = 4  # most rounds more, at random
COST = 1.0  # how fast the wish to put a group in falls with the groups that must leave for it
RESTART = 1500  # rounds without a gain after which part of the set is put out
SHAKE = 0.4  # share of the groups that are put out then


def group(cell, n):
    """Return the points, (4, 2), that arise from (x, y) by the mirrors of the square."""
    x, y = cell
    return np.array([(x, y), (n - 1 - x, y), (x, n - 1 - y), (n - 1 - x, n - 1 - y)])


def squares(one, other):
    """Return the squared distance of every point of one array from every point of another."""
    return ((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)


class Conflicts:
    """Which groups clash, and with how many pairs of groups of the set a further one would."""

    def __init__(self, n):
        half = n // 2
        cells = np.array([(x, y) for x in range(half) for y in range(half) if x != y])
        self.groups = np.array([group(cell, n) for cell in cells])
        self.cells, self.known = cells, {}
        own = [squares(points, points[:1])[1:, 0] for points in self.groups]
        self.own = np.array(own)  # the three distances inside a group

    def between(self, i, j):
        """Return which groups would clash with groups i and j together, or with either alone.

        By symmetry one point of i, all of j, and all of the third group show every triangle.
        """
        key = (i, j) if i < j else (j, i)
        if key not in self.known:
            first, second = self.groups[key[0]], self.groups[key[1]]
            third = self.groups.reshape(-1, 2)
            a = squares(first[:1], second)[0]
            b = squares(first[:1], third).reshape(1, -1, 4)
            c = squares(second, third).reshape(4, -1, 4)
            equal = (b == c) | (b == a[:, None, None]) | (c == a[:, None, None])
            self.known[key] = equal.any(axis=(0, 2))
        return self.known[key]

    def alone(self, i):
        """Return which groups clash with group i by two points of one and one of the other."""
        key = (i, i)
        if key not in self.known:
            apart = squares(self.groups[i][:1], self.groups.reshape(-1, 2)).reshape(-1, 4)
            inside = np.concatenate([self.own, np.tile(self.own[i], (len(self.own), 1))], axis=1)
            clash = (apart[:, :, None] == inside[:, None, :]).any(axis=(1, 2))
            ordered = np.sort(apart, axis=1)
            clash |= (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
            clash[i] = False
            self.known[key] = clash
        return self.known[key]

    def blockers(self, k, chosen):
        """Return the groups of the set that must leave before group k may enter."""
        leave = [i for i in chosen if self.alone(i)[k]]
        rest = [i for i in chosen if i not in leave]
        pairs = [(i, j) for a, i in enumerate(rest) for j in rest[a + 1 :] if self.between(i, j)[k]]
        while pairs:
            count = {}
            for pair in pairs:
                for i in pair:
                    count[i] = count.get(i, 0) + 1
            worst = max(count, key=lambda i: count[i])
            leave.append(worst)
            pairs = [pair for pair in pairs if worst not in pair]
        return leave


def load(conflicts, chosen):
    """Return by how many clashes each group is kept out of the set."""
    total = np.zeros(len(conflicts.groups))
    for a, i in enumerate(chosen):
        total += 3.0 * conflicts.alone(i)
        for j in chosen[a + 1 :]:
            total += conflicts.between(i, j)
    return total


def search(n, best, seed, cpu_seconds):
    """Return the largest set of points that was found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.1
    rng = np.random.default_rng(seed)
    conflicts = Conflicts(n)
    place = {tuple(cell): i for i, cell in enumerate(conflicts.cells.tolist())}
    chosen = [] if best is None else [place[tuple(p)] for p in best if tuple(p) in place]
    top, kept, stale, round_ = list(chosen), 4 * len(chosen), 0, 0
    free = np.zeros(len(conflicts.groups))  # the round from which a group may enter again
    total = load(conflicts, chosen)
    while time.process_time() < end:
        round_ += 1
        wish = -COST * total + rng.random(len(total)) - 1e6 * (free > round_)
        wish[chosen] = -1e9
        k = int(wish.argmax())
        leave = conflicts.blockers(k, chosen) if total[k] else []
        for i in leave:
            chosen.remove(i)
            free[i] = round_ + TABU + rng.integers(0, JITTER + 1)
            total -= 3.0 * conflicts.alone(i) + sum(conflicts.between(i, j) for j in chosen)
        total += 3.0 * conflicts.alone(k) + sum(conflicts.between(k, j) for j in chosen)
        chosen.append(k)
        stale += 1
        if len(chosen) > len(top):
            top, stale = list(chosen), 0
        elif stale > RESTART:
            out = max(int(SHAKE * len(top)), 1)
            chosen = [int(i) for i in rng.permutation(top)[out:]]
            total, stale = load(conflicts, chosen), 0
    if best is not None and kept < len(best) and 4 * len(top) <= len(best):
        return best
    return conflicts.groups[top].reshape(-1, 2)


# EVOLVE-BLOCK-END
