"""Where to put a job: a score for every pair of a job and a machine that it fits on."""

import numpy as np
from placement import place_all


def score(job, machine, left):
    """How good it is to put a job on a machine; the highest wins."""
    # EVOLVE-BLOCK-START
    imbalance = abs(left.cpu - left.memory)
    value = -0.5 * left.cpu - 0.5 * left.memory
    value = value + 0.0 * imbalance
    return value
    # EVOLVE-BLOCK-END


def place(jobs, machines):
    """Place jobs; see `place_all`."""
    return place_all(score, jobs, machines)
