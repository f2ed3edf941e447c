"""Where to put a pod: a score for every pair of a pod and a node that it fits on."""

from pod_placement import After, Floats, Ints, Node, Pod, place_all


def score(pod: Pod, node: Node, after: After) -> Floats:
    """How good it is to put a pod on a node; the highest wins, the first of equals.

    Works entry by entry on numpy arrays, one entry per (pod, node) pair. `pod` is the request,
    `node` what is free before, `after` what is left then; see `Pod`, `Node` and `After` in
    pod_placement.py. Free resources and requests are shares of the largest node (0 to 1).
    """
    # EVOLVE-BLOCK-START
    gpu_without_cpu = (after.gpu - after.cpu).clip(0.0)
    cpu_without_gpu = (after.cpu - after.gpu).clip(0.0)
    no_gpu_needed = 1.0 - pod.whole - pod.fraction
    value = -0.5 * after.cpu - 0.5 * after.gpu
    value = value + 0.0 * after.memory + 0.0 * after.gap
    value = value + 0.0 * after.fits + 0.0 * (after.usable - node.usable)
    value = value + 0.0 * (node.idle - after.idle) + 0.0 * no_gpu_needed * node.gpu
    value = value + 0.0 * gpu_without_cpu + 0.0 * cpu_without_gpu
    value = value + 0.0 * node.cpu_total + 0.0 * node.gpu_total
    value = value + 0.0 * node.supply
    return value
    # EVOLVE-BLOCK-END


def place(nodes: Ints, classes: Ints, popularity: Floats, arrivals: list[Ints]) -> list[Ints]:
    """Place lists of pods; see `place_all`."""
    return place_all(score, nodes, classes, popularity, arrivals)
