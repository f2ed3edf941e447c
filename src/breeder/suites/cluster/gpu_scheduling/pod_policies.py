"""The baseline policies as scoring functions: first fit, best fit, dot product, FGD.

Trusted code. They follow the simulator of Weng et al., "Beware of Fragmentation: Scheduling
GPU-Sharing Workloads with Fragmentation Gradient Descent" (USENIX ATC 2023), which cuts scores down
to integers from 0 to 100. The ties that this makes go to the first node, and matter (README.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pod_placement import After, Floats, Node, Pod, Score

# Above rounding errors, far below what tells two placements apart: keeps floor() from turning the
# rounding error of an exact 50 into 49.
_GUARD = 1e-9


def first_fit(pod: Pod, _node: Node, _after: After) -> Floats:
    """The first node that fits."""
    return np.zeros(len(pod.cpu))


def best_fit(_pod: Pod, _node: Node, after: After) -> Floats:
    """The node with the least CPU and GPU left, both as shares of the largest node."""
    return np.floor(100.0 * (1.0 - 0.5 * after.cpu - 0.5 * after.gpu) + _GUARD)


def dot_product(pod: Pod, node: Node, _after: After) -> Floats:
    """The node whose free resources align least with the request (Tetris, as published there)."""
    return np.floor(100.0 * (1.0 - 0.5 * (node.cpu * pod.cpu + node.gpu * pod.gpu)) + _GUARD)


def fragmentation_gradient_descent(_pod: Pod, node: Node, after: After) -> Floats:
    """The placement that adds the least fragmentation."""
    growth = (after.gpu - after.usable) - (node.gpu - node.usable)
    return np.floor(100.0 / (1.0 + np.exp(8.0 * growth)) + _GUARD)


POLICIES: Mapping[str, Score] = {
    "first fit": first_fit,
    "best fit": best_fit,
    "dot product": dot_product,
    "FGD": fragmentation_gradient_descent,
}
