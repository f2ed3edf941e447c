"""A search program in a class."""

import random
from functools import lru_cache

# EVOLVE-BLOCK-START
class Annealer:
    """Simulated annealing on a list of numbers."""

    start = 1.0

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def cool(self, temperature, step):
        """Next temperature."""
        return temperature * 0.95

    @staticmethod
    def energy(state):
        return sum(abs(a - b) for a, b in zip(state, state[1:]))


@lru_cache(maxsize=None)
def weight(n):
    return 1.0 / (1 + n)


def search(state, seed, steps=100):
    annealer = Annealer(seed)
    best = list(state)
    for step in range(steps):
        i, j = annealer.rng.randrange(len(best)), annealer.rng.randrange(len(best))
        trial = list(best)
        trial[i], trial[j] = trial[j], trial[i]
        if annealer.energy(trial) < annealer.energy(best):
            best = trial
    return best
# EVOLVE-BLOCK-END
