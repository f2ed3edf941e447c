"""Searches the lowest point of a function of two variables."""

import random


# EVOLVE-BLOCK-START
def search(steps=200, bounds=(-3.0, 3.0)):
    best = (0.0, 0.0)
    for _ in range(steps):
        point = (random.uniform(*bounds), random.uniform(*bounds))
        if height(*point) < height(*best):
            best = point
    return best


# EVOLVE-BLOCK-END


def height(x, y):
    return (x - 1.0) ** 2 + (y + 0.5) ** 2


def run_search():
    x, y = search()
    return x, y, height(x, y)
