"""Replays where a program put the jobs. Jobs need much of one resource and little of the other."""

import random

from breeder.evaluation import InvalidAnswerError, Result

SEEDS, JOBS, CAPACITY = range(1, 9), 300, 100


def draw(seed):
    rng = random.Random(seed)
    jobs = []
    for _ in range(JOBS):
        much, little = rng.randint(15, 60), rng.randint(2, 30)
        jobs.append([much, little] if rng.random() < 0.5 else [little, much])
    return jobs


def machines_used(jobs, chosen):
    if not isinstance(chosen, list) or len(chosen) != len(jobs):
        raise InvalidAnswerError("place must answer one machine for each job")
    used = {}
    for (cpu, memory), machine in zip(jobs, chosen, strict=True):
        total = used.setdefault(machine, [0, 0])
        total[0] += cpu
        total[1] += memory
        if max(total) > CAPACITY:
            raise InvalidAnswerError(f"machine {machine} is over its capacity")
    return len(used)


def evaluate(candidate):
    shares, counts = [], []
    for seed in SEEDS:
        jobs = draw(seed)
        chosen = candidate.call("place", jobs)
        count = machines_used(jobs, chosen)
        bound = max(sum(job[0] for job in jobs), sum(job[1] for job in jobs)) / CAPACITY
        shares.append(100 * bound / count)
        counts.append(sum(machine * (index + 1) for index, machine in enumerate(chosen)))
    return Result({"used": sum(shares) / len(shares), "behaviour": float(sum(counts))})
