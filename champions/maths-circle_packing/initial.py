"""Circle packing: a search program with a budget of CPU time. The start is a plain multistart."""

import numpy as np
from packing_moves import Clock, polish, random_circles, relax, relocated, shifted, total

# EVOLVE-BLOCK-START
RESTART = 0.521008  # share of starts from random circles; the others start near the best packing
RADIUS = 0.0651025  # radius of the random circles
SPREAD = 0.0517567  # standard deviation of the displacement of centres
RELOCATE = 0.365104  # share of disturbed copies in which circles are put elsewhere instead
COUNT = 4  # how many circles are put elsewhere
RETRIES = 2  # disturbed copies that are tried after each start
ROUGH_STEPS = 3  # steps that part the circles roughly
STIFFNESS = 22.2552  # how hard they part
FINE_STEPS = 59  # most iterations of the solver
REACH = 2.80761  # gap up to which circles are kept apart by it; 2 means all of them


def disturbed(circles, rng):
    """Return a changed copy."""
    if rng.random() < RELOCATE:
        return relocated(circles, COUNT, rng)
    return shifted(circles, SPREAD, rng)


def start(n, best, rng):
    """Return a packing to start from."""
    if best is None or total(best) > total(best):
        return random_circles(n, RADIUS, rng)
    return disturbed(best, rng)


def improve(circles):
    """Return a locally best packing."""
    circles = relax(circles, ROUGH_STEPS, STIFFNESS)
    return polish(circles, FINE_STEPS, np.exp(-np.abs(RELOCATE)))


def search(n, best, seed, cpu_seconds):
    """Return the best packing of n circles found within the CPU time, `best` included."""
    rng = np.random.default_rng(seed)
    clock = Clock(cpu_seconds - 0.318858)
    while clock.left() > (-0.308038):
        current = improve(start(n, best, rng))
        for _ in range(RETRIES):
            if clock.left() > (-0.506565):
                trial = improve(disturbed(current, rng))
                if total(trial) > total(current):
                    current = trial
        if total(current) > total(best):
            best = current
    return best


# EVOLVE-BLOCK-END
