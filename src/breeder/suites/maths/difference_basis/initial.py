"""Difference bases from perfect difference sets: A + m {0, 1, 4, 6}, where A covers all residues.

J. Singer, "A theorem in finite projective geometry and some applications to number theory" (1938):
for a prime q, q + 1 residues modulo m = q^2 + q + 1 have every other residue as a difference once.
"""

import itertools
import time

import numpy as np

# EVOLVE-BLOCK-START
RULER = (0, 1, 4, 6)  # its differences are 1 to 6
LARGEST = 23  # prime that is tried
CUTS = 4  # places at which the circle of residues is cut, for each multiplier


def singer(q):
    """Return q + 1 residues modulo q^2 + q + 1: powers of a number of F_q^3 in a plane."""
    m = q * q + q + 1
    for a, b, c in itertools.product(range(q), range(q), range(1, q)):
        at, found = (1, 0, 0), []  # of the powers of x, where x^3 = a x^2 + b x + c
        for power in range(m):
            if at[2] == 0:
                found.append(power)
            low, middle, high = at
            at = (c * high % q, (low + b * high) % q, (middle + a * high) % q)
        if len(found) == q + 1:
            ways = {(x - y) % m for x in found for y in found if x != y}
            if len(ways) == m - 1:
                return np.array(found), m
    raise ValueError(f"there is no perfect difference set for {q}")


def covered(numbers):
    """Return the largest v so that all of 1 to v are differences."""
    ordered = np.sort(numbers)
    ways = np.zeros(ordered[-1] - ordered[0] + 2, dtype=bool)
    for shift in range(1, len(ordered)):
        ways[ordered[shift:] - ordered[:-shift]] = True
    return int((~ways[1:]).argmax())


def search(best, seed, cpu_seconds):
    """Return the numbers with the smallest |B|^2 / v that were found, `best` included."""
    end = time.process_time() + cpu_seconds - 0.2
    rng = np.random.default_rng(seed)
    primes = [q for q in range(3, LARGEST + 1) if all(q % k for k in range(2, q))]
    sets, top = {}, list(RULER) if best is None else best
    value = len(top) ** 2 / covered(np.array(top))
    while time.process_time() < end:
        q = int(rng.choice(primes))
        if q not in sets:
            sets[q] = singer(q)
        residues, m = sets[q]
        multiplier = int(rng.integers(1, m))
        if np.gcd(multiplier, m) > 1:
            continue
        for cut in rng.integers(0, m, size=CUTS):
            block = (residues * multiplier - int(cut)) % m
            numbers = (block[:, None] + m * np.array(RULER)).ravel()
            reached = len(numbers) ** 2 / max(covered(numbers), 1)
            if reached < value:
                top, value = numbers.tolist(), reached
    return top


# EVOLVE-BLOCK-END
