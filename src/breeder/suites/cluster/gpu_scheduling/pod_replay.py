"""Replays placements exactly and measures them. Trusted code: believes nothing but the answer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pod_workload import CPU, GPU_MILLI, GPUS, MEMORY, MILLI, MODEL, SPEC, Workload

from breeder.evaluation.candidate import InvalidAnswerError

Ints = npt.NDArray[np.int64]


class Outcome(NamedTuple):
    """What became of one list of pods, in % of the cluster's capacity.

    Attributes:
        at_end: GPU allocated when pods worth 130 % of the GPU capacity have arrived.
        at_capacity: GPU allocated when pods worth 100 % have arrived.
        stranded_gpu, stranded_cpu: left over where a pod drawn at random does not fit, on average
            (GPU: drawn among the pods that need one).
    """

    at_end: float
    at_capacity: float
    stranded_gpu: float
    stranded_cpu: float


def replay(workload: Workload, index: int, answer: Any) -> Outcome:
    """Carry out `answer` for list `index` of `workload`.

    Args:
        workload: the cluster and its lists.
        index: of the list.
        answer: (P, 2) integers: node index or -1, and the GPUs used as a bit mask.

    Raises:
        InvalidAnswerError: it is not such an array, a placement is impossible, or a pod was left
            out that would have fitted somewhere.
    """
    arrivals = workload.arrivals[index]
    table = _checked(answer, len(arrivals), len(workload.nodes))
    cpu: list[int] = workload.nodes[:, CPU].tolist()
    memory: list[int] = workload.nodes[:, MEMORY].tolist()
    model: list[int] = workload.nodes[:, MODEL].tolist()
    free = [[MILLI] * count for count in workload.nodes[:, GPUS].tolist()]
    requests: list[list[int]] = workload.classes.tolist()
    shut_out: set[int] = set()  # nobody leaves: a class that fits nowhere will never fit again
    for pod, (kind, (node, mask)) in enumerate(zip(arrivals.tolist(), table.tolist(), strict=True)):
        if node < 0:
            if kind not in shut_out:
                room = _room_for(requests[kind], cpu, memory, model, free)
                if room >= 0:
                    raise InvalidAnswerError(
                        f"list {workload.names[index]}, pod {pod}: refused, but node {room} has "
                        "room for it"
                    )
                shut_out.add(kind)
            continue
        request = requests[kind]
        cpu[node] -= request[CPU]
        memory[node] -= request[MEMORY]
        problem = ""
        if cpu[node] < 0:
            problem = "the CPU is over-committed"
        elif memory[node] < 0:
            problem = "the memory is over-committed"
        elif request[SPEC] and not request[SPEC] >> model[node] & 1:
            problem = "the GPU model is not one that the pod accepts"
        problem = problem or _take(free[node], mask, request[GPUS], request[GPU_MILLI])
        if problem:
            raise InvalidAnswerError(
                f"list {workload.names[index]}, pod {pod}: node {node}: {problem}"
            )
    left = np.zeros((len(free), max(map(len, free))), dtype=np.int64)
    for row, gpus in zip(left, free, strict=True):
        row[: len(gpus)] = gpus
    return _measure(workload, index, table[:, 0] >= 0, (np.array(cpu), np.array(memory), left))


def _room_for(
    request: list[int], cpu: list[int], memory: list[int], model: list[int], free: list[list[int]]
) -> int:
    """The first node that a request fits on, or -1."""
    for node in range(len(free)):
        if (
            request[CPU] <= cpu[node]
            and request[MEMORY] <= memory[node]
            and not (request[SPEC] and not request[SPEC] >> model[node] & 1)
            and sum(left >= request[GPU_MILLI] for left in free[node]) >= request[GPUS]
        ):
            return node
    return -1


def _checked(answer: Any, pods: int, nodes: int) -> Ints:
    if not isinstance(answer, np.ndarray) or answer.dtype.kind != "i":
        raise InvalidAnswerError("placements must be arrays of signed integers")
    if answer.shape != (pods, 2):
        raise InvalidAnswerError(f"placements have shape {answer.shape}, not {(pods, 2)}")
    table: Ints = answer.astype(np.int64)
    if ((table[:, 0] < -1) | (table[:, 0] >= nodes)).any():
        raise InvalidAnswerError(f"a node index is not between -1 and {nodes - 1}")
    return table


def _take(free: list[int], mask: int, gpus: int, milli: int) -> str:
    """Use the GPUs in `mask`; returns what is wrong, or nothing."""
    if mask < 0 or mask >> len(free):
        return "a GPU index is out of range"
    if mask.bit_count() != gpus:
        return f"{mask.bit_count()} GPUs used where {gpus} are requested"
    for gpu in range(len(free)):
        if mask >> gpu & 1:
            free[gpu] -= milli
            if free[gpu] < 0:
                return f"GPU {gpu} is over-committed"
    return ""


def _measure(
    workload: Workload, index: int, placed: npt.NDArray[np.bool_], left: tuple[Ints, Ints, Ints]
) -> Outcome:
    cpu, memory, gpus = left
    milli = workload.requested(index)
    allocated = np.cumsum(np.where(placed, milli, 0))
    in_capacity = int(np.searchsorted(np.cumsum(milli), workload.capacity, side="right"))
    classes, share = workload.classes, workload.popularity[index]
    fits = (classes[:, CPU] <= cpu[:, None]) & (classes[:, MEMORY] <= memory[:, None])
    spec, model = classes[:, SPEC], workload.nodes[:, MODEL]
    fits &= (spec == 0) | (spec >> model[:, None] & 1 == 1)
    for request in np.unique(classes[classes[:, GPUS] > 0][:, [GPUS, GPU_MILLI]], axis=0):
        same = (classes[:, [GPUS, GPU_MILLI]] == request).all(axis=1)
        fits[:, same] &= ((gpus >= request[1]).sum(axis=1) >= request[0])[:, None]
    of_gpu = np.where(classes[:, GPUS] > 0, share, 0)
    stranded_gpu = gpus.sum(axis=1) @ (1 - fits @ of_gpu / of_gpu.sum())
    stranded_cpu = cpu @ (1 - fits @ share)
    return Outcome(
        100.0 * float(allocated[-1]) / workload.capacity,
        100.0 * float(allocated[in_capacity - 1]) / workload.capacity,
        100.0 * float(stranded_gpu) / workload.capacity,
        100.0 * float(stranded_cpu) / float(workload.nodes[:, CPU].sum()),
    )
