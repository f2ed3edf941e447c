"""Second autocorrelation inequality: ascent on a smoothed ratio, coarse to fine steps."""

import time

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import fmin_l_bfgs_b

# EVOLVE-BLOCK-START
COARSE = 25  # steps of a function that is started from nothing
STARTS = 8  # of which the best is refined
FINE = 100  # steps up to which it is refined at once
FINEST = 6400  # steps up to which the best is refined later
RESTART = 0.15  # share of rounds that start from nothing; the others change the best
REFINE = 0.7  # share of rounds that put several steps in the place of each one, with noise
FACTORS = (2, 8)  # how many: at least, at most
HOT, COOL = 10.0, 200.0  # first powers after that, lowest and highest
SPREAD = 0.3  # relative standard deviation of a disturbance
DESCENT = 300  # iterations of each descent
FIRST, LAST, GROWTH = 30.0, 1e5, 3.3  # powers of the norm that smooths the maximum
AGAIN = 200.0  # first power after a disturbance


def ratio(f):
    """Return ||f*f||_2^2 / (||f*f||_1 ||f*f||_inf); f*f is linear between multiples of the step."""
    size = next_fast_len(2 * len(f) - 1, real=True)
    c = irfft(rfft(f, size) ** 2, size)[: 2 * len(f) - 1]
    return (2.0 * c @ c + c[:-1] @ c[1:]) / (3.0 * f.sum() ** 2 * c.max())


def descend(root, power, end):
    """Maximise the log of the ratio with a p-norm in place of the maximum, where f = root^2."""
    n = len(root)
    size = next_fast_len(2 * n - 1, real=True)

    def loss(r):
        f = r * r
        spectrum = rfft(f, size)
        c = np.maximum(irfft(spectrum * spectrum, size)[: 2 * n - 1], 0.0)
        top, mass = c.max(), f.sum()
        share = (c / top) ** power
        total = share.sum()
        weight = np.divide(share, c, out=np.zeros_like(c), where=c > 1e-9 * top) / total
        beside = np.zeros_like(c)
        beside[1:] += c[:-1]
        beside[:-1] += c[1:]
        square = 2.0 * c @ c + c[:-1] @ c[1:]
        weight -= (4.0 * c + beside) / square
        slope = 2.0 * irfft(rfft(weight, size) * np.conj(spectrum), size)[:n] + 2.0 / mass
        value = np.log(top) + np.log(total) / power + 2.0 * np.log(mass) - np.log(square)
        return value, 2.0 * r * slope

    def stop(_):
        if time.process_time() > end:
            raise StopIteration

    return fmin_l_bfgs_b(loss, root, maxiter=DESCENT, m=20, callback=stop)[0]


def anneal(root, first, end):
    """Descend with ever larger powers."""
    power = first
    while power <= LAST and time.process_time() < end:
        root = descend(root, power, end)
        power *= GROWTH
    return root


def fresh(rng, end):
    """Return roots of heights that were refined from the best of random coarse functions."""
    roots = [anneal(rng.random(COARSE) + 0.1, FIRST, end) for _ in range(STARTS)]
    root = max(roots, key=lambda one: ratio(one * one))
    while len(root) < FINE:
        root = anneal(np.repeat(root, 2), FIRST, end)
    return root


def refined(root, rng, end):
    """Return a function of more steps, which noise tells apart before it is annealed."""
    most = min(FACTORS[1], FINEST // len(root))
    finer = np.repeat(root, rng.integers(FACTORS[0], most + 1) if most >= FACTORS[0] else 1)
    finer = np.abs(finer * (1.0 + rng.random() * rng.normal(size=len(finer))))
    return anneal(finer, HOT * (COOL / HOT) ** rng.random(), end)


def disturbed(root, rng):
    """Return a copy in which an interval of roots was multiplied by noise."""
    width = int(rng.integers(1, max(len(root) // 2, 2)))
    first = int(rng.integers(0, len(root) - width + 1))
    root = root.copy()
    root[first : first + width] *= 1.0 + SPREAD * rng.normal(size=width)
    return root


def search(best, seed, cpu_seconds):
    """Return the heights with the largest ratio that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.1
    rng = np.random.default_rng(seed)
    root = None if best is None else np.sqrt(np.asarray(best, dtype=float))
    while time.process_time() < end or root is None:
        kind = rng.random()
        if root is None or kind < RESTART:
            trial = fresh(rng, end)
        elif kind < RESTART + REFINE:
            trial = refined(root, rng, end)
        else:
            trial = anneal(disturbed(root, rng), AGAIN, end)
        if root is None or ratio(trial * trial) > ratio(root * root):
            root = trial
    return np.where(np.abs(root) > 1e-12 * np.abs(root).max(), root * root, 0.0)


# EVOLVE-BLOCK-END
