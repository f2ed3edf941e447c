"""First autocorrelation inequality: an interior-point method, coarse to fine steps."""

import time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import LinAlgError, cho_factor, cho_solve

# EVOLVE-BLOCK-START
FEWEST, MOST = 40, 56  # steps of functions that are started from nothing
COARSE = 0.35  # share of the time left that goes to them, at least a second
CHAINS, CHAINED = 0.15, 4  # share of what is then left for disturbing so many of the best
FOLLOWED = (16, 4, 1)  # how many of the best are refined, each step split in two: at first, then
FINEST = 1800  # most steps of a refined function
AFFORDED = 250.0  # and of the one that is known, times the root of the seconds
HOPE_FINE = 0.4  # what refining n steps may gain, relative to the value, times n
COSTLIER = 7.0  # how much longer a polish takes with twice as many steps
REFINE = 0.8  # chance that what is known is refined first
RESTART = 0.3  # least share of the time that is worth another round from nothing
SPREAD = 1.0  # largest relative standard deviation of a disturbance
LEAST = 0.1  # smallest one, relative to it
SHORTEST = 0.05  # least width of a disturbance, relative to the number of steps
HOT = 0.1  # most room above the peak, relative to it, with which a disturbed copy is polished
FAR, NEAR = 0.3, 0.01  # room above the peak that a polish starts with, relative to the peak
MARGIN = 1e-3  # least height that it starts from, relative to the mean
SLOW = 0.7  # by which a Newton step reduces what is left to gain
ROUGH, SHARP = 1e-6, 1e-9  # what is left to gain at the end: first, later
STEADY = 0.88  # the same where each step of a function was split in two
SLACK = 1e-10  # share of the stiffest constraint below which one does not bend the others
NEWTON = 400  # most of them in a row
SETTLED, HOPE = 3e-3, 3.0  # what is left to gain from which a polish is judged, and times what


def convolved(f):
    """Return f*f at the multiples of the step of [-1/4, 1/4], for f with the sum 1."""
    return 2.0 * len(f) * np.convolve(f, f)


class Polish:
    """An interior-point method that lowers the peak of f*f to a local minimum.

    It minimises t where f*f is at most t everywhere, f is not negative, and the sum of f is 1.
    """

    def __init__(self, f, room):
        f = np.maximum(f, MARGIN * f.mean())
        self.f = f / f.sum()
        c = convolved(self.f)
        self.t = c.max() * (1.0 + room)
        self.slack = self.t - c
        aim = 1.0 / (1.0 / self.slack).sum()
        self.force = aim / self.slack
        self.low = aim / self.f
        self.damping = 0.0

    def gap(self):
        """Return what is left to gain, to first order."""
        return self.force @ self.slack + self.low @ self.f

    def step(self, centring):
        """Take a damped Newton step towards the conditions of a minimum."""
        f, n = self.f, len(self.f)
        aim = centring * self.gap() / (len(self.slack) + n)
        padded = np.concatenate([np.zeros(n - 1), f, np.zeros(n - 1)])
        table = 4.0 * n * sliding_window_view(padded, n)[:, ::-1]  # slopes of f*f
        stiff, push = self.force / self.slack, aim / self.slack
        held = np.flatnonzero(stiff > SLACK * stiff.max())
        scaled = np.sqrt(stiff[held])[:, None] * table[held]
        pull, total = stiff @ table, stiff.sum()
        matrix = scaled.T @ scaled - np.outer(pull, pull / total)
        matrix += 4.0 * n * sliding_window_view(self.force, n)
        matrix[np.diag_indices(n)] += self.low / f
        missing = 1.0 - push.sum()
        right = aim / f - push @ table - pull * (missing / total)
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
        low = aim / self.f - self.low - self.low / self.f * move
        full = min(reach(change / self.slack), reach(move / self.f))
        back = min(reach(turn / self.force), reach(low / self.low))
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
        self.low = np.clip(self.low + back * low, 1e-4 * aim / f, 1e4 * aim / f)

    def barrier(self, aim, f, t, slack):
        """Return what a step is to lower."""
        return t - aim * (np.log(slack).sum() + np.log(f).sum())


def reach(ratios):
    """Return the length of a step that leaves a hundredth of what changes at these rates."""
    return min(1.0, 0.99 / max(-ratios.min(), 1e-9))


def polish(f, room, centring, end, worth=np.inf, left=SHARP):
    """Return a local minimum, and its peak; stop where it stays above `worth`."""
    one = Polish(f, room)
    for _ in range(NEWTON):
        gap = one.gap()
        if gap < left or one.damping > 1e6 or time.process_time() > end:
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


def chained(states, rng, end):
    """Follow disturbed copies, each of the best so far, of several functions; the best first."""
    states = list(states)
    while time.process_time() < end:
        k = int(rng.integers(len(states)))
        room = NEAR * (HOT / NEAR) ** rng.random()
        found = polish(disturbed(states[k][0], rng), room, SLOW, end, states[k][1], ROUGH)
        if all(found[1] < other[1] - 1e-7 for other in (states[k], *near(states, found))):
            states[k] = found
    return sorted(states, key=lambda one: one[1])


def near(states, found):
    """Return the functions that are as good as one, so probably the same."""
    return [one for one in states if abs(one[1] - found[1]) < 1e-5]


def coarse(rng, end):
    """Return the best of many coarse functions and of what they become, the best first."""
    best, until = [], time.process_time()
    until += max(COARSE * (end - until), 1.0)
    while not best or time.process_time() < min(until, end):
        worth = best[-1][1] if len(best) == FOLLOWED[0] else np.inf
        n = int(rng.integers(FEWEST, MOST + 1))
        found = polish(rng.random(n) + 0.1, FAR, SLOW, end, worth, ROUGH)
        if found[1] < worth and not near(best, found):
            best = sorted([*best, found], key=lambda one: one[1])[: FOLLOWED[0]]
    now = time.process_time()
    best[:CHAINED] = chained(best[:CHAINED], rng, now + CHAINS * (end - now))
    return best


def refined(state, end):
    """Return a function with each step split in two, polished."""
    return polish(np.repeat(state[0], 2), NEAR, STEADY, end)


def fresh(value, rng, end):
    """Return the best of many starts, refined as long as it comes near a known value."""
    states, level, cost = coarse(rng, end), 0, 0.0
    while True:
        kept = states[: FOLLOWED[min(level, len(FOLLOWED) - 1)]]
        f, peak = kept[0]
        now = time.process_time()
        soon = now + COSTLIER * cost < end  # what does not come to an end is worth nothing
        if 2 * len(f) > FINEST or peak > value * (1.0 + HOPE_FINE / len(f)) or not soon:
            return states[0]
        states = sorted([refined(one, end) for one in kept], key=lambda one: one[1])
        if states[0][1] >= peak:
            return kept[0]
        level, cost = level + 1, (time.process_time() - now) / len(kept)


def search(best, seed, cpu_seconds):
    """Return the heights with the lowest peak that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    top = None
    if best is not None:
        f = np.asarray(best, dtype=float)
        top = f / f.sum(), convolved(f / f.sum()).max()
        finest = min(FINEST, AFFORDED * cpu_seconds**0.5)
        if 2 * len(f) <= finest and rng.random() < REFINE:
            top = min(top, refined(top, end), key=lambda one: one[1])
    while time.process_time() < end or top is None:
        if top is None or end - time.process_time() > RESTART * cpu_seconds:
            found = fresh(np.inf if top is None else top[1], rng, end)
        else:
            found = chained([top], rng, end)[0]
        if top is None or found[1] < top[1]:
            top = found
    return top[0]


# EVOLVE-BLOCK-END
