"""Online bin packing: the priority of each bin for an item. The start is best fit."""

import numpy as np
from bin_packing_loop import place_all


# EVOLVE-BLOCK-START
def priority(item, bins):
    """Return one priority per entry of `bins`; the item goes where it is highest."""
    return -(bins - item)


# EVOLVE-BLOCK-END


def pack(items: np.ndarray, capacity: int) -> np.ndarray:
    """Return the bin of each item, in the order of arrival."""
    return place_all(items, capacity, priority)
