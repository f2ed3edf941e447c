"""Where to put a pod: a score for every pair of a pod and a node that it fits on."""

from pod_placement import After, Floats, Ints, Node, Pod, place_all


def score(pod: Pod, node: Node, after: After) -> Floats:
    """How good it is to put a pod on a node; the highest wins, the first of equals.

    Works entry by entry on numpy arrays, one entry per (pod, node) pair. `pod` is the request,
    `node` what is free before, `after` what is left then; see `Pod`, `Node` and `After` in
    pod_placement.py. Free resources and requests are shares of the largest node (0 to 1).
    """
    # EVOLVE-BLOCK-START
    imbalance = abs(after.gpu - after.cpu)
    usable_change = after.usable - node.usable
    idle_used = node.idle - after.idle
    value = -0.5 * after.cpu - 0.5 * after.gpu
    value = value + 0.0 * after.memory + 0.0 * after.gap
    value = value + 0.0 * after.fits + 0.0 * usable_change
    value = value + 0.0 * idle_used + 0.0 * imbalance
    value = value + 0.0 * pod.cpu_only * node.gpu + 0.0 * node.supply
    value = value + 0.0 * node.cpu_total + 0.0 * node.gpu_total
    return value
    # EVOLVE-BLOCK-END


def place(nodes: Ints, classes: Ints, popularity: Floats, arrivals: list[Ints]) -> list[Ints]:
    """Place lists of pods; see `place_all`."""
    return place_all(score, nodes, classes, popularity, arrivals)
