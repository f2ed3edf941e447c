"""Second autocorrelation inequality: ascent on a smoothed ratio from a comb, coarse to fine."""

import time

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import fmin_l_bfgs_b

# EVOLVE-BLOCK-START
COARSE = 1024  # steps of a function that is started from nothing
FINEST = 65536  # steps up to which it is refined
STARTING = 0.5  # share of the time for it, where a search starts from nothing
# What it starts as: a block, a gap, then rows at equal distances, dense at first and narrow teeth
# at last. Each mutation of this shape is worth what ascent makes of it.
SHAPE = {
    "block": 0.09,  # where the block ends
    "gap": 0.3,  # where the gap ends
    "height": 1.7,  # of the block; the rows' mean is 1
    "rows": 36.0,
    "width": 1.5,  # of the first row, in distances of rows; rows cannot be wider than 1
    "narrowing": 0.95,  # power of the distance from the end with which widths fall
    "fading": 1.2,  # the same for masses
    "horn": 0.1,  # share of a row's mass in each of its two ends
    "first": 60.0,  # first power of the norm
}
MUTATIONS = (0.05, 0.2, 0.5)  # relative standard deviations, of up to four entries
NOISE = (0.2, 0.6)  # relative standard deviations of noise on a start, and on what was refined
DOUBLING = 0.75  # share of rounds that double the number of steps, while it may grow
ROWS = 0.3  # share of those that repeat rows, which makes more of them; others split steps
DESCENT, LEAST = 300, 60  # iterations of each descent; below the least nothing grows
LAST, GROWTH = 1e5, 3.3  # powers of the norm that smooths the maximum
HOT, COOL = 40.0, 2000.0  # first powers after noise, lowest and highest
DIGITS = 1e5  # heights are returned as integers up to this


def ratio(f):
    """Return ||f*f||_2^2 / (||f*f||_1 ||f*f||_inf); f*f is linear between multiples of the step."""
    size = next_fast_len(2 * len(f) - 1, real=True)
    c = irfft(rfft(f, size) ** 2, size)[: 2 * len(f) - 1]
    return (2.0 * c @ c + c[:-1] @ c[1:]) / (3.0 * f.sum() ** 2 * c.max())


def smoothed(n, power):
    """Return minus the log of 3 times the ratio of root^2, with a p-norm for the maximum."""
    size = next_fast_len(2 * n - 1, real=True)

    def loss(root):  # and its slope
        f = root * root
        spectrum = rfft(f, size)
        c = irfft(spectrum * spectrum, size)[: 2 * n - 1]
        top, mass = c.max(), f.sum()
        c /= top
        bounded = np.maximum(c, 1e-9).astype(np.float32)  # logarithms take long in double precision
        share = np.exp(np.float32(power) * np.log(bounded))
        total = float(share.sum(dtype=float))
        weight = share / bounded / total
        beside = 4.0 * c
        beside[1:] += c[:-1]
        beside[:-1] += c[1:]
        square = beside @ c / 2.0
        slope = irfft(rfft(weight - beside / square, size) * np.conj(spectrum), size)[:n]
        value = np.log(total) / power - np.log(top) + 2.0 * np.log(mass) - np.log(square)
        return value, 2.0 * root * (2.0 / top * slope + 2.0 / mass)

    return loss


def anneal(root, first, end):
    """Descend with ever larger powers; fewer iterations each where time is short."""
    root = root / np.linalg.norm(root)
    powers = [first]
    while powers[-1] * GROWTH <= LAST:
        powers.append(powers[-1] * GROWTH)
    for left in range(len(powers), 0, -1):
        begin = time.process_time()
        if begin > end:
            break
        until = begin + (end - begin) / left

        def stop(_, until=until):
            if time.process_time() > until:
                raise StopIteration

        loss = smoothed(len(root), powers[-left])
        root = fmin_l_bfgs_b(loss, root, maxiter=DESCENT, m=20, pgtol=0.0, callback=stop)[0]
    return root


def drawn(n, shape, rng):
    """Return the roots of a shape's heights, times noise."""
    f = np.zeros(n)
    begin, rows = shape["gap"] * n, max(round(shape["rows"]), 1)
    distance, horn = (n - begin) / rows, shape["horn"]
    for row in range(rows):
        before_end = 1.0 - row / rows
        width = distance * min(1.0, shape["width"] * before_end ** shape["narrowing"])
        right = round(begin + (row + 1) * distance)
        left = max(min(round(right - width), right - 1), 0)
        mass = before_end ** shape["fading"]
        f[left:right] += mass * (1.0 - 2.0 * horn) / (right - left)
        f[[left, right - 1]] += mass * horn
    f[: int(shape["block"] * n)] = shape["height"] * f.sum() / (n - begin)
    return np.sqrt(f) * np.exp(NOISE[0] / 2.0 * rng.standard_normal(n))


def mutated(shape, rng):
    """Return a copy with some entries changed."""
    shape = dict(shape)
    strength = rng.choice(MUTATIONS)
    for name in rng.choice(list(shape), rng.integers(1, 5), replace=False):
        shape[name] *= np.exp(strength * rng.standard_normal())
    shape["gap"] = min(shape["gap"], 0.7)
    shape["block"] = min(shape["block"], 0.9 * shape["gap"])
    shape["horn"] = min(shape["horn"], 0.45)
    return shape


def fresh(rng, end):
    """Return what ascent makes of the best shape that was found in the time."""
    shape, best, top = SHAPE, None, 0.0
    while best is None or time.process_time() < end:
        other = shape if best is None else mutated(shape, rng)
        root = anneal(drawn(COARSE, other, rng), other["first"], end)
        value = ratio(root * root)
        if best is None or value > top:
            shape, best, top = other, root, value
    return best


def row_distance(f):
    """Return the distance of the rows in the second half, from the peaks of its autocorrelation."""
    half = f[len(f) // 2 :] - f[len(f) // 2 :].mean()
    size = next_fast_len(2 * len(half), real=True)
    c = irfft(np.abs(rfft(half, size)) ** 2, size)[: len(half)]
    lobe = int(np.argmax(c < 0.2 * c[0])) + 1
    distance = lobe + int(np.argmax(c[lobe:]))
    for multiple in (2, 4, 8):
        low, high = int((multiple - 0.4) * distance), int((multiple + 0.4) * distance)
        if high < len(c):
            distance = (low + int(np.argmax(c[low:high]))) / multiple
    return distance


def with_rows_repeated(root):
    """Return each row twice, one after the other, cut where there is least between two rows."""
    f, distance = root * root, row_distance(root * root)
    second = np.arange(len(f) // 2, len(f))
    folded = np.bincount((second % distance).astype(int), f[second])
    cut = (np.argmin(np.convolve(np.tile(folded, 3), np.ones(5), "same")[len(folded) :])) % distance
    cuts = np.round(np.arange(cut, len(f), distance)).astype(int)
    return np.concatenate([piece for part in np.split(root, cuts) for piece in (part, part)])


def round_of(root, rng, end):
    """Return a function of as many steps or twice as many, from noise on what there is."""
    begin = time.process_time()
    smoothed(2 * len(root), HOT)(np.repeat(root, 2))
    cost = time.process_time() - begin
    levels = np.log(LAST / HOT) / np.log(GROWTH)
    grows = 2 * len(root) <= FINEST and LEAST * levels * cost < end - time.process_time()
    if grows and rng.random() < DOUBLING:
        root = with_rows_repeated(root) if rng.random() < ROWS else np.repeat(root, 2)
    noise = NOISE[1] * rng.random() * rng.standard_normal(len(root))
    return anneal(np.abs(root * (1.0 + noise)), HOT * (COOL / HOT) ** rng.random() ** 2, end)


def search(best, seed, cpu_seconds):
    """Return the heights with the largest ratio that were found, `best` included."""
    begin = time.process_time()
    end = begin + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    if best is None:
        root = fresh(rng, begin + STARTING * cpu_seconds)
    else:
        root = np.sqrt(np.asarray(best, dtype=float))
    top = ratio(root * root)
    while time.process_time() < end:
        trial = round_of(root, rng, end)
        value = ratio(trial * trial)
        if value > top:
            root, top = trial, value
    f = root * root
    heights = np.rint(f * (DIGITS / f.max()))
    if best is not None and ratio(heights) <= ratio(np.asarray(best, dtype=float)):
        return best
    return heights.astype(int).tolist()


# EVOLVE-BLOCK-END
