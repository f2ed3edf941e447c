"""Online bin packing. The start is first fit."""

import numpy as np


# EVOLVE-BLOCK-START
def priority(item, bins):
    """Return one priority per entry of `bins`; the item goes where it is highest."""
    priorities = np.zeros(len(bins))
    return priorities


# EVOLVE-BLOCK-END


def pack(items, capacity):
    """Return the bin of each item, in order of arrival."""
    room = np.full(len(items), float(capacity))
    chosen, opened = [], 0
    for item in items:
        fits = np.flatnonzero(room[: opened + 1] >= item)
        values = np.asarray(priority(float(item), room[fits]), dtype=float)
        if values.shape != fits.shape:
            raise ValueError("priority must return one number per bin")
        best = int(fits[np.argmax(values)])
        opened = max(opened, best + 1)
        room[best] -= item
        chosen.append(best)
    return chosen
