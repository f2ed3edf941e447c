"""Mean and maximum of every window of an array."""

import numpy as np


# EVOLVE-BLOCK-START
def rolling(values, window):
    """Return the means and the maxima of all windows, as two arrays."""
    means = []
    maxima = []
    for start in range(len(values) - window + 1):
        total = 0.0
        largest = values[start]
        for index in range(start, start + window):
            total += values[index]
            largest = max(largest, values[index])
        means.append(total / window)
        maxima.append(largest)
    return np.array(means), np.array(maxima)


# EVOLVE-BLOCK-END


def answer(values, window):
    """Return both rows as one array."""
    means, maxima = rolling(values, window)
    return np.array([means, maxima], dtype=float)
