"""Kakeya sets in space: a product of squares in every plane x = const, and a parabola's tangents.

For all a, b, the line {(t, a t + a^2, b t + b^2)} lies in the set of points (x, u, v) for which
x^2 + 4 u and x^2 + 4 v are squares, since these are then (t + 2 a)^2 and (t + 2 b)^2. Directions
without an x get lines in the plane x = 0, z = c y + (a polynomial of c) for all c, and one more.
"""

import time

import numpy as np

# EVOLVE-BLOCK-START
FORMS = (1, 0, 0, 1)  # u = FORMS[0] y + FORMS[1] z, v = FORMS[2] y + FORMS[3] z
WIDE = 0  # by how much the entries of FORMS vary from trial to trial
TANGENTS = (1, 0, 0)  # of the polynomial, from c^2 down
SHIFTS = 3  # by how much its last two coefficients vary


def squares(p):
    """Return which numbers are squares, 0 among them."""
    found = np.zeros(p, dtype=bool)
    found[np.arange(p) ** 2 % p] = True
    return found


def product_set(p, x, forms, square):
    """Return which (y, z) of a plane are in the product, (p, p)."""
    y, z = np.arange(p)[:, None], np.arange(p)[None, :]
    u, v = forms[0] * y + forms[1] * z, forms[2] * y + forms[3] * z
    return square[(x * x + 4 * u) % p] & square[(x * x + 4 * v) % p]


def with_tangents(p, plane, polynomial):
    """Return a plane with the lines z = c y + polynomial(c), and the best line along z."""
    c = np.arange(p)[:, None]
    first, second, third = polynomial
    held = plane.copy()
    held[np.arange(p)[None, :], (c * np.arange(p) + first * c * c + second * c + third) % p] = True
    held[held.sum(axis=1).argmax()] = True
    return held


def drawn(p, rng):
    """Return the forms and the polynomial of a trial; the forms must not be proportional."""
    forms = [entry + int(rng.integers(-WIDE, WIDE + 1)) for entry in FORMS]
    if (forms[0] * forms[3] - forms[1] * forms[2]) % p == 0:
        forms = [1, 0, 0, 1]
    first, second, third = TANGENTS
    shifts = rng.integers(-SHIFTS, SHIFTS + 1, size=2)
    return forms, (first, second + int(shifts[0]), third + int(shifts[1]))


def search(family, d, p, best, seed, cpu_seconds):
    """Return the smallest set that was found: rows x, y, z."""
    end = time.process_time() + cpu_seconds - 0.3
    rng = np.random.default_rng(seed)
    square = squares(p)
    least = None
    for trial in range(2000):
        if trial and time.process_time() > end:
            break
        forms, polynomial = drawn(p, rng)
        held = with_tangents(p, product_set(p, 0, forms, square), polynomial)
        if least is None or held.sum() < least.sum():
            least, chosen = held, forms
    planes = [least, *(product_set(p, x, chosen, square) for x in range(1, p))]
    points = np.argwhere(np.stack(planes))
    return points if best is None or len(points) <= len(best) else best


# EVOLVE-BLOCK-END
