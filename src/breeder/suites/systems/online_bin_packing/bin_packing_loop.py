"""The loop that places items one by one by a priority function. Runs beside the candidate.

Bins of equal remaining capacity are the same to a priority function, so it is asked once per
distinct remaining capacity. Ties: of all bins whose remaining capacity has the highest priority,
the one that was opened first takes the item; an empty bin counts as opened last.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def place_all(
    items: NDArray[np.int64], capacity: int, priority: Callable[[float, Any], Any]
) -> NDArray[np.int64]:
    """Place every item in the order of arrival.

    Args:
        items: (n,) integer sizes between 1 and `capacity`.
        capacity: capacity of every bin.
        priority: (item, (k,) remaining capacities of bins that have room, ascending and distinct,
            the empty bin's last) -> (k,) numbers. NaN counts as the lowest priority.

    Returns:
        (n,) index of the bin of each item; bins are numbered as they are opened.

    Raises:
        ValueError: the priorities are not one real number per entry.
    """
    bins_with = np.zeros(capacity + 1, dtype=np.int64)  # remaining capacity -> number of bins
    bins_with[capacity] = 1  # the empty bin that is always there
    waiting: list[list[int]] = [[] for _ in range(capacity + 1)]  # the same, as heaps of indices
    chosen = np.empty(len(items), dtype=np.int64)
    opened = 0
    opened_last = len(items)  # beyond every index
    for position, item in enumerate(items.tolist()):
        rooms = np.flatnonzero(bins_with[item:]) + item
        scores = np.asarray(priority(float(item), rooms.astype(np.float64)))
        if scores.shape != rooms.shape or scores.dtype.kind not in "biuf":
            raise ValueError(
                f"priority must return {len(rooms)} real numbers, one per entry of bins; "
                f"got shape {scores.shape} of {scores.dtype}"
            )
        highest = scores[scores.argmax()]
        if highest != highest:  # argmax returns the first NaN there is
            scores = np.where(np.isnan(scores), -np.inf, scores)
            highest = scores.max()
        ties = rooms[scores == highest].tolist()
        room = min(ties, key=lambda r: waiting[r][0] if waiting[r] else opened_last)
        if waiting[room]:
            index = heapq.heappop(waiting[room])
            bins_with[room] -= 1
        else:
            index, opened = opened, opened + 1
        chosen[position] = index
        heapq.heappush(waiting[room - item], index)
        bins_with[room - item] += 1
    return chosen
