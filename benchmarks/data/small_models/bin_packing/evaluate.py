"""Replays packings; the score is what they use beyond the lower bound, in per cent."""

import math

import numpy as np

from breeder.evaluation import InvalidAnswerError, Result

SEEDS, ITEMS, CAPACITY = range(1, 9), 250, 150


def bins_used(items, chosen):
    if not isinstance(chosen, list) or len(chosen) != len(items):
        raise InvalidAnswerError("pack must answer one bin for each item")
    filled = {}
    for item, index in zip(items, chosen, strict=True):
        filled[index] = filled.get(index, 0) + item
        if filled[index] > CAPACITY:
            raise InvalidAnswerError(f"bin {index} is over its capacity")
    return len(filled)


def evaluate(candidate):
    excess, behaviour = [], 0.0
    for seed in SEEDS:
        items = np.random.default_rng(seed).integers(20, 101, ITEMS).tolist()
        chosen = candidate.call("pack", items, CAPACITY)
        bound = math.ceil(sum(items) / CAPACITY)
        excess.append(100 * (bins_used(items, chosen) / bound - 1))
        behaviour += sum(index * (number + 1) for number, index in enumerate(chosen))
    return Result({"excess": sum(excess) / len(excess), "behaviour": behaviour})
