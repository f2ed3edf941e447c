"""Circle packing: a search program with a budget of CPU time. The start is a plain multistart."""

import numpy as np
from packing_moves import Clock, polish, random_circles, relax, relocated, shifted, total

# EVOLVE-BLOCK-START
RESTART = 0.5  # share of starts from random circles; the others start near the best packing
RADIUS = 0.05  # radius of the random circles
SPREAD = 0.05  # standard deviation of the displacement of centres
RELOCATE = 0.5  # share of disturbed copies in which circles are put elsewhere instead
COUNT = 2  # how many circles are put elsewhere
RETRIES = 2  # disturbed copies that are tried after each start
ROUGH_STEPS = 3  # steps that part the circles roughly
STIFFNESS = 20.0  # how hard they part
FINE_STEPS = 60  # most iterations of the solver
REACH = 2.0  # gap up to which circles are kept apart by it; 2 means all of them


def disturbed(circles, rng):
    """Return a changed copy."""
    if rng.random() < RELOCATE:
        return relocated(circles, COUNT, rng)
    return shifted(circles, SPREAD, rng)


def start(n, best, rng):
    """Return a packing to start from."""
    if best is None or rng.random() < RESTART:
        return random_circles(n, RADIUS, rng)
    return disturbed(best, rng)


def improve(circles):
    """Return a locally best packing."""
    circles = relax(circles, ROUGH_STEPS, STIFFNESS)
    return polish(circles, FINE_STEPS, REACH)


def search(n, best, seed, cpu_seconds):
    """Return the best packing of n circles found within the CPU time, `best` included."""
    rng = np.random.default_rng(seed)
    clock = Clock(cpu_seconds - 0.4)
    while clock.left() > 0.0:
        current = improve(start(n, best, rng))
        for _ in range(RETRIES):
            if clock.left() > 0.0:
                trial = improve(disturbed(current, rng))
                if total(trial) > total(current):
                    current = trial
        if total(current) > total(best):
            best = current
    return best


# EVOLVE-BLOCK-END
