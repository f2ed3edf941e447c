"""Places points on a line so that they keep apart."""

from itertools import pairwise


# EVOLVE-BLOCK-START
def place(count):
    return [index / count for index in range(count)]


# EVOLVE-BLOCK-END


def run_experiment(count=5):
    points = place(count)
    return points, min(b - a for a, b in pairwise(points))
