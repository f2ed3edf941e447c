"""Digit masks with many differences and few sums: changes of one digit at a time, annealed.

A mask M of digits stands for the limit of sets of ever more digits in base 2 max M + 1; a rate
weighs small digits. The evaluator says what a mask and a rate prove.
"""

import time

import numpy as np

# EVOLVE-BLOCK-START
TOP = 24  # largest digit of a start
DENSE = 0.5  # share of the digits in it
HOT = 0.003  # temperature that an annealing starts with
COLD = 0.0001  # and ends with
CHANGES = 600  # of a digit, in one annealing
GROW = 0.1  # share of changes that move the largest digit
RATES = np.exp(np.linspace(np.log(0.005), np.log(1.0), 24))  # that are tried
ONWARD = 0.5  # share of annealings that start from the best


def worth(mask):
    """Return the best exponent over the rates, and its rate."""
    digits = np.flatnonzero(mask)
    sums = np.unique(digits[:, None] + digits)
    costs = np.full(digits[-1] + 1, 10**9)
    ways = digits[:, None] - digits
    lower = ways >= 0
    np.minimum.at(costs, ways[lower], (digits[:, None] + digits)[lower])
    costs = costs[costs < 10**9]
    twice = np.exp(-RATES[:, None] * costs)
    minus = 2.0 * twice.sum(axis=1) - twice[:, 0]  # differences d and -d; the first is d = 0
    plus = np.exp(-RATES[:, None] * sums).sum(axis=1)
    values = 1.0 + np.log(minus / plus) / np.log(2 * digits[-1] + 1)
    best = values.argmax()
    return values[best], RATES[best]


def changed(mask, rng):
    """Return a mask with a digit put in or out, 0 excepted; or with another largest digit."""
    mask = mask.copy()
    if rng.random() < GROW:
        mask = mask[:-1] if rng.random() < 0.5 and len(mask) > 4 else np.append(mask, True)
    else:
        place = int(rng.integers(1, len(mask)))
        mask[place] = not mask[place]
    mask[-1] = True
    return mask


def search(best, seed, cpu_seconds):
    """Return the mask and the rate with the largest exponent that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    top, value, rate = None, -np.inf, 0.0
    if best is not None and isinstance(best, dict) and "rate" in best:
        top = np.isin(np.arange(max(best["mask"]) + 1), best["mask"])
        value, rate = worth(top)
    while top is None or time.process_time() < end:
        if top is not None and rng.random() < ONWARD:
            mask, now = top, value
        else:
            mask = rng.random(TOP + 1) < DENSE
            mask[[0, -1]] = True
            now = worth(mask)[0]
        for step in range(CHANGES):
            if time.process_time() > end:
                break
            trial = changed(mask, rng)
            reached, its_rate = worth(trial)
            heat = HOT * (COLD / HOT) ** (step / CHANGES)
            if reached >= now or rng.random() < np.exp((reached - now) / heat):
                mask, now = trial, reached
            if reached > value:
                top, value, rate = trial, reached, its_rate
    return {"mask": np.flatnonzero(top).tolist(), "rate": float(max(rate, 0.005))}


# EVOLVE-BLOCK-END
