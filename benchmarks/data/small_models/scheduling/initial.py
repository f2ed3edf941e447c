"""Places jobs on machines. The start spreads them by what is left of the processors."""

import math


# EVOLVE-BLOCK-START
def score(job_cpu, job_memory, free_cpu, free_memory):
    """Return how well a machine suits a job; the highest score takes it."""
    left_cpu = free_cpu - job_cpu
    left_memory = free_memory - job_memory
    value = left_cpu
    return value


# EVOLVE-BLOCK-END


def place(jobs):
    """Return the machine of each job; a new one is opened when none has room."""
    machines, chosen = [], []
    for cpu, memory in jobs:
        best, highest = -1, -math.inf
        for index, (free_cpu, free_memory) in enumerate(machines):
            if free_cpu >= cpu and free_memory >= memory:
                value = float(score(cpu, memory, free_cpu, free_memory))
                if value > highest:
                    best, highest = index, value
        if best < 0:
            best = len(machines)
            machines.append([100, 100])
        machines[best][0] -= cpu
        machines[best][1] -= memory
        chosen.append(best)
    return chosen
