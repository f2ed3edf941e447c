"""Online bin packing: the priority of each bin for an item. The start is best fit."""

import numpy as np
from bin_packing_loop import place_all

LIMIT = 100

# EVOLVE-BLOCK-START
SLACK = 0.25


def features(item, bins):
    """Gap and ratio of every bin."""
    gap = bins - item
    ratio = item / bins
    return gap, ratio


def priority(item: float, bins: np.ndarray) -> np.ndarray:
    """Return one priority per entry of `bins`; the item goes where it is highest."""
    gap, ratio = features(item, bins)
    score = -gap
    if item > LIMIT * SLACK:
        score = score - 1.0  # large items
    score += 0.5 * ratio
    return score


# EVOLVE-BLOCK-END


def pack(items: np.ndarray, capacity: int) -> np.ndarray:
    """Return the bin of each item, in the order of arrival."""
    return place_all(items, capacity, priority)
