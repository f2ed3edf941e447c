"""Minimum overlap: multistart of an interior-point method, coarse to fine steps."""

import time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import LinAlgError, cho_factor, cho_solve

# EVOLVE-BLOCK-START
FEWEST, MOST = 40, 72  # steps of functions that are started from nothing; symmetric about 1
FINEST = 400  # steps up to which they are refined, each step split in two
PATIENCE = 80  # disturbances without a gain after which a coarse function is left
HOPS = 15  # the same for a finer one
CLOSE = 4e-5  # how near a coarse function must come to the best value to be refined
RESTART = 0.7  # share of rounds that start from nothing; the others disturb the best
SPREAD = 0.4  # largest standard deviation of a disturbance
LEAST = 0.3  # smallest one, relative to it
SHORTEST = 0.2  # least width of a disturbance, relative to the number of steps
FAR, NEAR = 0.3, 0.03  # room above the largest overlap that a polish starts with, relative to it
MARGIN = 0.02  # by which it starts away from 0 and 1
CENTRING = 0.3  # by which each Newton step reduces what is left to gain
NEWTON = 120  # most of them in a row
SETTLED, HOPE = 1e-3, 3.0  # what is left to gain from which a polish is judged, and times what


def overlaps(h):
    """Return the overlap at every shift by a multiple of the step."""
    return np.convolve(h[::-1], 1.0 - h) * 2.0 / len(h)


def mirrored(half, n):
    """Return the symmetric function of n steps with the given first half."""
    return np.concatenate([half, half[::-1][n % 2 :]])


def folded(rows):
    """Return sums of the rows that belong to one height of the first half."""
    half = (len(rows) + 1) // 2
    rows = rows.copy()
    rows[: len(rows) - half] += rows[half:][::-1]
    return rows[:half]


def normalised(half, n):
    """Shift heights until the integral is 1."""
    for _ in range(100):
        missing = 0.5 - mirrored(half, n).mean()
        if abs(missing) < 1e-15:
            break
        half = np.clip(half + missing, 0.0, 1.0)
    return half


def slopes(h):
    """Return the derivatives of the overlaps at shifts 0, 1, ... by the first half, (n, half)."""
    n = len(h)
    none = np.zeros(n)
    held = sliding_window_view(np.concatenate([none, h]), n)[n:0:-1]
    rest = sliding_window_view(np.concatenate([1.0 - h, none]), n)[:n]
    return folded((rest - held).T).T * 2.0 / n


def curvature(force):
    """Return the second derivatives of the sum of force times overlaps by the first half."""
    n = len(force)
    around = np.concatenate([force[:0:-1], [2.0 * force[0]], force[1:]])
    table = sliding_window_view(around, n)[::-1]
    return folded(folded(table).T).T * -2.0 / n


class Polish:
    """An interior-point method that lowers the largest overlap to a local minimum.

    It minimises t where every overlap is at most t, the heights are in [0, 1] and their integral
    is 1.
    """

    def __init__(self, half, n, room):
        self.n, self.weight = n, folded(np.ones(n))
        self.half = MARGIN + (1.0 - 2.0 * MARGIN) * normalised(np.clip(half, 0.0, 1.0), n)
        c = self.overlaps(self.half)
        self.t = c.max() * (1.0 + room)
        self.slack = self.t - c
        aim = 1.0 / (1.0 / self.slack).sum()
        self.force, self.low, self.high = aim / self.slack, aim / self.half, aim / (1.0 - self.half)
        self.damping = 0.0

    def overlaps(self, half):
        """Return the overlaps at shifts 0, 1, ...; the others are the same by symmetry."""
        return overlaps(mirrored(half, self.n))[self.n - 1 :: -1]

    def gap(self):
        """Return what is left to gain, to first order."""
        return self.force @ self.slack + self.low @ self.half + self.high @ (1.0 - self.half)

    def step(self):
        """Take a damped Newton step towards the conditions of a minimum."""
        half, rest = self.half, 1.0 - self.half
        aim = CENTRING * self.gap() / (len(self.slack) + 2 * len(half))
        table, stiff, push = (
            slopes(mirrored(half, self.n)),
            self.force / self.slack,
            aim / self.slack,
        )
        scaled = np.sqrt(stiff)[:, None] * table
        pull, total = stiff @ table, stiff.sum()
        matrix = scaled.T @ scaled + curvature(self.force) - np.outer(pull, pull / total)
        matrix[np.diag_indices_from(matrix)] += self.low / half + self.high / rest
        missing = 1.0 - push.sum()
        right = aim / half - aim / rest - push @ table - pull * (missing / total)
        move = self.solved(matrix, right)
        rise = (pull @ move - missing) / total
        change = rise - table @ move
        turn = push - self.force - stiff * change
        self.take(aim, move, rise, change, turn)

    def solved(self, matrix, right):
        """Solve for changes that keep the integral; damp until the matrix is positive definite."""
        size, diagonal = np.trace(matrix) / len(matrix), np.diag_indices_from(matrix)
        while True:
            damped = matrix + size * np.outer(self.weight, self.weight)
            damped[diagonal] += (self.damping + 1e-13) * abs(size)
            try:
                factor = cho_factor(damped, overwrite_a=True, check_finite=False)
                break
            except LinAlgError:
                self.damping = max(4.0 * self.damping, 1e-8)
        one, two = cho_solve(factor, np.array([right, self.weight]).T, check_finite=False).T
        return one - two * (self.weight @ one) / (self.weight @ two)

    def take(self, aim, move, rise, change, turn):
        """Go as far as the barrier function falls."""
        half, rest = self.half, 1.0 - self.half
        low, high = (
            aim / half - self.low - self.low / half * move,
            aim / rest - self.high + self.high / rest * move,
        )
        full = reach(np.concatenate([change / self.slack, move / half, -move / rest]))
        back = reach(np.concatenate([turn / self.force, low / self.low, high / self.high]))

        def barrier(t, slack, half):
            return t - aim * (np.log(slack).sum() + np.log(half).sum() + np.log(1.0 - half).sum())

        start, length = barrier(self.t, self.slack, half), full
        for _ in range(10):
            trial, t = half + length * move, self.t + length * rise
            slack = t - self.overlaps(trial)
            if (
                slack.min() > 0.005 * self.slack.min()
                and barrier(t, slack, trial) < start + 1e-4 * aim
            ):
                break
            length *= 0.5
        else:
            self.damping = max(10.0 * self.damping, 1e-6)
            return
        if length < 0.6 * full:
            self.damping = max(4.0 * self.damping, 1e-8)
        elif length == full:
            self.damping = self.damping / 4.0 if self.damping > 1e-10 else 0.0
        self.half, self.t, self.slack = trial, t, slack
        near = ((self.force, turn, slack), (self.low, low, trial), (self.high, high, 1.0 - trial))
        self.force, self.low, self.high = (
            np.clip(one + back * by, 1e-4 * aim / of, 1e4 * aim / of) for one, by, of in near
        )


def reach(ratios):
    """Return the length of a step that leaves a hundredth of what changes at these rates."""
    return min(1.0, 0.99 / max(-ratios.min(), 1e-9))


def polish(half, n, room, end, worth=np.inf):
    """Return the local minimum, and its largest overlap; stop where it stays above `worth`."""
    one = Polish(half, n, room)
    for _ in range(NEWTON):
        gap = one.gap()
        if gap < 1e-11 or one.damping > 1e6 or time.process_time() > end:
            break
        if gap < SETTLED and one.t - HOPE * gap > worth:
            break
        one.step()
    half = normalised(one.half, n)
    return half, overlaps(mirrored(half, n)).max()


def disturbed(half, n, rng):
    """Return a copy in which noise was added to an interval."""
    width = max(int(len(half) * SHORTEST ** rng.random()), 1)
    first = int(rng.integers(0, len(half) - width + 1))
    half = half.copy()
    half[first : first + width] += SPREAD * LEAST ** rng.random() * rng.normal(size=width)
    return half


def chained(state, patience, rng, end):
    """Follow disturbed copies, each of the best so far, until so many in a row were no better."""
    half, n, value = state
    stale = 0
    while stale < patience and time.process_time() < end:
        trial, reached = polish(disturbed(half, n, rng), n, NEAR, end, value)
        stale += 1
        if reached < value - 1e-9:
            half, value, stale = trial, reached, 0
    return half, n, value


def fresh(value, rng, end):
    """Return the end of a chain from nothing, refined as long as it comes near a known value."""
    n = int(rng.integers(FEWEST, MOST + 1))
    half, reached = polish(rng.random((n + 1) // 2), n, FAR, end)
    state = chained((half, n, reached), PATIENCE, rng, end)
    while 2 * state[1] <= FINEST and state[2] < value + CLOSE and time.process_time() < end:
        half, n, _ = state
        trial, reached = polish(np.repeat(mirrored(half, n), 2)[:n], 2 * n, NEAR, end)
        state = chained((trial, 2 * n, reached), HOPS, rng, end)
    return state


def search(best, seed, cpu_seconds):
    """Return the heights with the smallest largest overlap that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    top = None
    if best is not None:
        half = np.asarray(best, dtype=float)[: (len(best) + 1) // 2]
        top = half, len(best), overlaps(mirrored(half, len(best))).max()
    while time.process_time() < end or top is None:
        if top is None or rng.random() < RESTART:
            found = fresh(np.inf if top is None else top[2], rng, end)
        else:
            found = chained(top, HOPS, rng, end)
        if top is None or found[2] < top[2]:
            top = found
    return mirrored(*top[:2])


# EVOLVE-BLOCK-END
