"""Third autocorrelation inequality: an interior-point method, coarse to fine steps."""

import time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import LinAlgError, cho_factor, cho_solve

# EVOLVE-BLOCK-START
FEWEST, MOST = 40, 56  # steps of functions that are started from nothing
STARTS = 60  # of which one, the best, is followed
FINEST = 800  # steps up to which it is refined, each step split in two
PATIENCE = 30  # disturbances without a gain after which a coarse function is left
HOPS = 3  # the same for a finer one
CLOSE = 5e-3  # how near it must come to the best value to be refined, relative to it
RESTART = 0.3  # share of later rounds that start from nothing; the others disturb the best
REFINE = 0.2  # share of the others that put two steps in the place of each one of the best
SPREAD = 1.0  # largest relative standard deviation of a disturbance
LEAST = 0.1  # smallest one, relative to it
SHORTEST = 0.05  # least width of a disturbance, relative to the number of steps
FAR, NEAR = 3.0, 0.01  # room above the peak that a polish starts with, relative to the peak
SLOW, QUICK = 0.7, 0.3  # by which a Newton step reduces what is left to gain: first, disturbed
STEADY = 0.88  # the same where each step of a function was split in two
NEWTON = 400  # most of them in a row
SETTLED, HOPE = 3e-3, 3.0  # what is left to gain from which a polish is judged, and times what


def convolved(f):
    """Return f*f at the multiples of the step of [-1/4, 1/4], for f with the sum 1."""
    return 2.0 * len(f) * np.convolve(f, f)


class Polish:
    """An interior-point method that lowers the peak of f*f to a local minimum.

    It minimises t where f*f is at most t everywhere and the sum of f is 1.
    """

    def __init__(self, f, room):
        self.f = f / f.sum()
        c = convolved(self.f)
        self.t = c.max() * (1.0 + room)
        self.slack = self.t - c
        aim = 1.0 / (1.0 / self.slack).sum()
        self.force = aim / self.slack
        self.damping = 0.0

    def gap(self):
        """Return what is left to gain, to first order."""
        return self.force @ self.slack

    def step(self, centring):
        """Take a damped Newton step towards the conditions of a minimum."""
        f, n = self.f, len(self.f)
        aim = centring * self.gap() / len(self.slack)
        held = np.concatenate([np.zeros(n - 1), f, np.zeros(n - 1)])
        table = 4.0 * n * sliding_window_view(held, n)[:, ::-1]  # slopes of f*f
        stiff, push = self.force / self.slack, aim / self.slack
        scaled = np.sqrt(stiff)[:, None] * table
        pull, total = stiff @ table, stiff.sum()
        matrix = scaled.T @ scaled - np.outer(pull, pull / total)
        matrix += 4.0 * n * sliding_window_view(self.force, n)
        missing = 1.0 - push.sum()
        right = -push @ table - pull * (missing / total)
        move = self.solved(matrix, right)
        rise = (pull @ move - missing) / total
        change = rise - table @ move
        self.take(aim, move, rise, change, push - self.force - stiff * change)

    def solved(self, matrix, right):
        """Solve for changes with the sum 0; damp until the matrix is positive definite."""
        n = len(right)
        size = abs(np.trace(matrix)) / n
        while True:
            damped = matrix + size / n
            damped[np.diag_indices(n)] += (self.damping + 1e-13) * size
            try:
                factor = cho_factor(damped, overwrite_a=True, check_finite=False)
                break
            except LinAlgError:
                self.damping = max(4.0 * self.damping, 1e-8)
        one, two = cho_solve(factor, np.array([right, np.ones(n)]).T, check_finite=False).T
        return one - two * one.sum() / two.sum()

    def take(self, aim, move, rise, change, turn):
        """Go as far as the barrier function falls; go back to shorter steps where it does not."""
        full, back = reach(change / self.slack), reach(turn / self.force)
        start, length = self.barrier(aim, self.f, self.t, self.slack), full
        for _ in range(10):
            f, t = self.f + length * move, self.t + length * rise
            slack = t - convolved(f)
            safe = slack.min() > 0.005 * self.slack.min()
            if safe and self.barrier(aim, f, t, slack) < start + 1e-4 * aim:
                break
            length *= 0.5
        else:
            self.damping = max(10.0 * self.damping, 1e-6)
            return
        if length < 0.6 * full:
            self.damping = max(4.0 * self.damping, 1e-8)
        elif length == full:
            self.damping = self.damping / 4.0 if self.damping > 1e-10 else 0.0
        self.f, self.t, self.slack = f, t, slack
        self.force = np.clip(self.force + back * turn, 1e-4 * aim / slack, 1e4 * aim / slack)

    def barrier(self, aim, f, t, slack):
        """Return what a step is to lower."""
        return t - aim * np.log(slack).sum()


def reach(ratios):
    """Return the length of a step that leaves a hundredth of what changes at these rates."""
    return min(1.0, 0.99 / max(-ratios.min(), 1e-9))


def polish(f, room, centring, end, worth=np.inf):
    """Return a local minimum, and its peak; stop where it stays above `worth`."""
    one = Polish(f, room)
    for _ in range(NEWTON):
        gap = one.gap()
        if gap < 1e-10 or one.damping > 1e6 or time.process_time() > end:
            break
        if gap < SETTLED and one.t - HOPE * gap > worth:
            break
        one.step(centring)
    f = one.f / one.f.sum()
    return f, convolved(f).max()


def disturbed(f, rng):
    """Return a copy in which an interval was multiplied by noise."""
    width = max(int(len(f) * SHORTEST ** rng.random()), 1)
    first = int(rng.integers(0, len(f) - width + 1))
    f = f.copy()
    f[first : first + width] *= 1.0 + SPREAD * LEAST ** rng.random() * rng.normal(size=width)
    return f


def chained(state, patience, rng, end):
    """Follow disturbed copies, each of the best so far, until so many in a row were no better."""
    f, value = state
    stale = 0
    while stale < patience and time.process_time() < end:
        trial, reached = polish(disturbed(f, rng), NEAR, QUICK, end, value)
        stale += 1
        if reached < value - 1e-8:
            f, value, stale = trial, reached, 0
    return f, value


def fresh(value, rng, end):
    """Return the best of many starts, refined as long as it comes near a known value."""
    n, state = int(rng.integers(FEWEST, MOST + 1)), None
    for _ in range(STARTS):
        found = polish(rng.random(n) + 0.1, FAR, SLOW, end)
        if state is None or found[1] < state[1]:
            state = found
        if time.process_time() > end:
            break
    state = chained(state, PATIENCE, rng, end)
    while 4 * len(state[0]) <= FINEST and state[1] < value * (1.0 + CLOSE):
        if time.process_time() > end:
            break
        found = polish(np.repeat(state[0], 2), NEAR, STEADY, end)
        if found[1] >= state[1]:
            break
        state = chained(found, HOPS, rng, end)
    return state


def search(best, seed, cpu_seconds):
    """Return the heights with the lowest peak that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    top = None
    if best is not None:
        f = np.asarray(best, dtype=float)
        top = f / f.sum(), convolved(f / f.sum()).max()
    while time.process_time() < end or top is None:
        if top is None or len(top[0]) < FINEST // 5 or rng.random() < RESTART:
            found = fresh(np.inf if top is None else top[1], rng, end)
        elif 2 * len(top[0]) <= FINEST and rng.random() < REFINE:
            found = polish(np.repeat(top[0], 2), NEAR, STEADY, end)
        else:
            found = chained(top, HOPS, rng, end)
        if top is None or found[1] < top[1]:
            top = found
    return top[0]


# EVOLVE-BLOCK-END
