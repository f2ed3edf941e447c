"""Drives a scoring function over lists of pods, one pod after the other.

A read-only support file of the task: it runs inside the candidate's process, next to the evolved
`score`, and nothing that it computes is believed; the evaluator replays the placements.

Speed rests on three exact shortcuts. Pods come in a few hundred classes and a placement changes one
node, so a (class x node) table of scores needs one new column per placement. Nodes of the same
shape with the same free resources are alike, so a column is computed once per node *state*, for all
classes at once. Several lists of pods are placed side by side, each until it lacks a column, and
the missing columns are computed in one call. All this holds as long as `score` is a pure function
that works entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MILLI = 1000  # one GPU
CPU_UNIT = 128_000.0  # milli-cores of the largest node
MEMORY_UNIT = 1_048_576.0  # MiB of the largest node
GPU_UNIT = 8.0  # GPUs of the largest node
MILLI_UNIT = MILLI * GPU_UNIT
UNPLACED = -1
LOWEST = float(np.finfo(np.float64).min)  # what NaN and -inf count as

CPU, MEMORY, GPUS, GPU_MILLI, SPEC = range(5)  # columns of a table of pod classes
MODEL = 3  # columns of a table of nodes: CPU, MEMORY, GPUS, MODEL


class Pod(NamedTuple):
    """What the pod asks for. Every field is an array with one entry per (pod, node) pair.

    Attributes:
        cpu, memory, gpu: request as a share of the largest node (128 cores, 1 TiB, 8 GPUs).
        whole: 1.0 when it asks for whole GPUs.
        fraction: 1.0 when it asks for a fraction of one GPU.
        cpu_only: 1.0 when it asks for no GPU.
        popularity: share of the pods that are of this class.
    """

    cpu: Floats
    memory: Floats
    gpu: Floats
    whole: Floats
    fraction: Floats
    cpu_only: Floats
    popularity: Floats


class Node(NamedTuple):
    """The node before the placement. Every field is an array with one entry per pair.

    Attributes:
        cpu, memory, gpu: free, as a share of the largest node.
        idle: free whole GPUs, as a share of 8.
        usable: free GPU share that a pod drawn at random could use (see `GpuOptions`).
        fits: share of the pods that fit.
        cpu_total, memory_total, gpu_total: capacity, as a share of the largest node.
        supply: share of the cluster's GPUs that are of this model.
    """

    cpu: Floats
    memory: Floats
    gpu: Floats
    idle: Floats
    usable: Floats
    fits: Floats
    cpu_total: Floats
    memory_total: Floats
    gpu_total: Floats
    supply: Floats


class After(NamedTuple):
    """The node once the pod is on it. Every field is an array with one entry per pair.

    Attributes:
        cpu, memory, gpu: free, as a share of the largest node.
        idle: free whole GPUs, as a share of 8.
        gap: what is left (0 to 1) of the GPU that a fractional pod was put on; 0 for other pods.
        usable: free GPU share that a pod drawn at random could use (see `GpuOptions`).
        fits: share of the pods that would still fit.
    """

    cpu: Floats
    memory: Floats
    gpu: Floats
    idle: Floats
    gap: Floats
    usable: Floats
    fits: Floats


Score = Callable[[Pod, Node, After], Floats]
State = tuple[int, int, int, tuple[int, ...]]  # shape, free CPU, free memory, free milli per GPU


class GpuOptions:
    """What each distinct GPU request does to a set of GPUs, remembered by their free milli.

    A request that fits leaves unusable only the GPUs that hold less than it asks for; one that does
    not fit, or needs no GPU, can use nothing. The mean over pod classes, weighted by popularity, is
    the `usable` share; the free share minus this is the fragmentation of Weng et al., "Beware of
    Fragmentation" (USENIX ATC 2023). Memory is ignored there, as in the paper.

    Args:
        requests: (M, 2) GPUs and milli per GPU.

    Attributes:
        feasible: (G, M) whether a set of GPUs can meet a request.
        total, idle, gap: (G, M) free milli, idle GPUs and milli left on the chosen GPU after it.
        usable: (G, M, M) free milli that request j could use after request i.
        fits: (G, M, M) 1.0 where request j fits after request i.
        none: index of the request for no GPU at all.
    """

    def __init__(self, requests: Ints) -> None:
        self._count = requests[:, 0]
        self._milli = np.where(self._count > 0, requests[:, 1], 0)
        self.none = int(np.flatnonzero(self._count == 0)[0])
        free = np.arange(MILLI + 1)[:, None]
        self._holds = (free >= self._milli).astype(np.int64)  # by the free milli of one GPU
        self._waste = np.where(free < self._milli, free, 0)
        self._index: dict[tuple[int, ...], int] = {}
        size = len(requests)
        self.feasible: Flags = np.zeros((0, size), dtype=np.bool_)
        self.total: Floats = np.zeros((0, size))
        self.idle: Floats = np.zeros((0, size))
        self.gap: Floats = np.zeros((0, size))
        self.usable: Floats = np.zeros((0, size, size))
        self.fits: Floats = np.zeros((0, size, size))

    def index(self, free: tuple[int, ...]) -> int:
        """Row of a set of GPUs, given the free milli of each in ascending order."""
        found = self._index.get(free)
        if found is None:
            found = self._index[free] = len(self._index)
            if found == len(self.total):
                self._grow()
            self._fill(found, np.array(free))
        return found

    def _grow(self) -> None:
        for name in ("feasible", "total", "idle", "gap", "usable", "fits"):
            old = getattr(self, name)
            new = np.zeros((max(256, 2 * len(old)), *old.shape[1:]), dtype=old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def _fill(self, row: int, free: Ints) -> None:
        count, milli = self._count, self._milli
        old = np.append(free, 0)[np.searchsorted(free, milli)]  # the tightest GPU that suffices
        new = np.maximum(old - milli, 0)
        holds = self._holds[free].sum(axis=0)
        feasible = holds >= count
        times = np.where(feasible, count, 0)
        step = times[:, None]
        holds_after = holds + step * (self._holds[new] - self._holds[old])
        waste_after = self._waste[free].sum(axis=0) + step * (self._waste[new] - self._waste[old])
        total = free.sum() - times * milli
        fits = holds_after >= count
        self.feasible[row] = feasible
        self.total[row] = total
        self.idle[row] = (free == MILLI).sum() - times * (old == MILLI)
        self.gap[row] = np.where((count > 0) & (milli < MILLI), new, 0)
        self.usable[row] = np.where(fits & (count > 0), total[:, None] - waste_after, 0)
        self.fits[row] = fits


class Columns:
    """Scores of every pod class on nodes in given states, for several lists of pods at once.

    Args:
        score: the policy; higher is better.
        nodes: (N, 4) CPU milli, memory MiB, GPUs, model index.
        classes: (C, 5) CPU milli, memory MiB, GPUs, milli per GPU, models as bits (0: any).
        popularity: (L, C) share of each class among the pods of each list.

    Attributes:
        shapes: (S, 4) distinct rows of `nodes`; shape_of: (N,) the row of each node.
    """

    def __init__(self, score: Score, nodes: Ints, classes: Ints, popularity: Floats) -> None:
        self._score = score
        self._classes = classes
        self.shapes, shape_of = np.unique(nodes, axis=0, return_inverse=True)
        self.shape_of: Ints = shape_of.reshape(-1)
        models = np.arange(int(nodes[:, MODEL].max()) + 1)
        spec = classes[:, SPEC]
        self._accepts: Flags = (spec == 0) | ((spec >> models[:, None]) & 1 == 1)
        requests = np.vstack([classes[:, [GPUS, GPU_MILLI]], [[0, 0]]])
        requests, request_of = np.unique(requests, axis=0, return_inverse=True)
        self._request_of = request_of.reshape(-1)[:-1]
        self._options = GpuOptions(requests)
        self._weigh(popularity, len(requests))
        self._pods = _describe_classes(classes, popularity)
        supply = np.bincount(nodes[:, MODEL], nodes[:, GPUS]) / nodes[:, GPUS].sum()
        model = self.shapes[:, MODEL]
        units = (CPU_UNIT, MEMORY_UNIT, GPU_UNIT)
        capacity = (self.shapes[:, :3] / np.array(units)).T
        self._fixed: Floats = np.vstack([capacity, supply[model]])

    def _weigh(self, popularity: Floats, requests: int) -> None:
        """Tabulate, by free CPU, the popularity of each GPU request among the pods that fit it."""
        cpu = self._classes[:, CPU]
        levels = np.unique(cpu)
        table = np.zeros((len(popularity), len(self._accepts), len(levels) + 1, requests))
        rows = np.searchsorted(levels, cpu) + 1
        for of_list, share in zip(table, popularity, strict=True):
            for of_model, accepted in zip(of_list, self._accepts, strict=True):
                np.add.at(of_model, (rows, self._request_of), share * accepted)
        self._weights: Floats = np.cumsum(table, axis=2)
        top = int(max(self.shapes[:, CPU].max(), levels[-1]))
        self._level: Ints = np.searchsorted(levels, np.arange(top + 1), side="right")

    def compute(self, wanted: list[tuple[int, State]]) -> Floats:
        """(B, C) scores for B pairs of list and state; -inf where a pod does not fit."""
        lists, states = zip(*wanted, strict=True)
        of_list = np.array(lists)
        shape, cpu, memory = np.array([state[:3] for state in states]).T
        gpus = np.array([self._options.index(state[3]) for state in states])
        model = self.shapes[shape, MODEL]
        feasible = self._accepts[model] & self._options.feasible[gpus][:, self._request_of]
        feasible &= self._classes[:, CPU] <= cpu[:, None]
        feasible &= self._classes[:, MEMORY] <= memory[:, None]
        columns = np.full(feasible.shape, -np.inf)
        row, pod = np.nonzero(feasible)
        if len(row):
            before = self._before(of_list, shape, cpu, memory, gpus)
            node = Node(*before[:, row])
            after = self._after(of_list[row], model[row], gpus[row], pod, (cpu[row], memory[row]))
            values = self._score(Pod(*self._pods[:, of_list[row], pod]), node, after)
            values = np.asarray(values, dtype=np.float64)
            # Whatever a policy says of a place, a pod that fits is not refused.
            columns[row, pod] = np.where(np.isnan(values), LOWEST, np.maximum(values, LOWEST))
        return columns

    def _before(self, of_list: Ints, shape: Ints, cpu: Ints, memory: Ints, gpus: Ints) -> Floats:
        """(10, B) the fields of `Node`."""
        options, none = self._options, self._options.none
        weights = self._weights[of_list, self.shapes[shape, MODEL], self._level[cpu]]
        varying = [
            cpu / CPU_UNIT,
            memory / MEMORY_UNIT,
            options.total[gpus, none] / MILLI_UNIT,
            options.idle[gpus, none] / GPU_UNIT,
            np.einsum("ij,ij->i", options.usable[gpus, none], weights) / MILLI_UNIT,
            np.einsum("ij,ij->i", options.fits[gpus, none], weights),
        ]
        return np.vstack([*varying, self._fixed[:, shape]])

    def _after(
        self, of_list: Ints, model: Ints, gpus: Ints, pod: Ints, free: tuple[Ints, Ints]
    ) -> After:
        options, request = self._options, self._request_of[pod]
        cpu_left = free[0] - self._classes[pod, CPU]
        weights = self._weights[of_list, model, self._level[cpu_left]]
        return After(
            cpu_left / CPU_UNIT,
            (free[1] - self._classes[pod, MEMORY]) / MEMORY_UNIT,
            options.total[gpus, request] / MILLI_UNIT,
            options.idle[gpus, request] / GPU_UNIT,
            options.gap[gpus, request] / MILLI,
            np.einsum("ij,ij->i", options.usable[gpus, request], weights) / MILLI_UNIT,
            np.einsum("ij,ij->i", options.fits[gpus, request], weights),
        )


def _describe_classes(classes: Ints, popularity: Floats) -> Floats:
    """(7, L, C) the fields of `Pod`."""
    fraction = (classes[:, GPU_MILLI] > 0) & (classes[:, GPU_MILLI] < MILLI)
    rows = [
        classes[:, CPU] / CPU_UNIT,
        classes[:, MEMORY] / MEMORY_UNIT,
        classes[:, GPUS] * classes[:, GPU_MILLI] / MILLI_UNIT,
        (classes[:, GPUS] > 0) & ~fraction,
        fraction,
        classes[:, GPUS] == 0,
        popularity,
    ]
    return np.stack([np.broadcast_to(row, popularity.shape).astype(np.float64) for row in rows])


def place_all(
    score: Score, nodes: Ints, classes: Ints, popularity: Floats, arrivals: list[Ints]
) -> list[Ints]:
    """Place lists of pods, each on an empty cluster, on the nodes with the highest scores.

    The first of equal nodes wins. Fractional pods go to the GPU with the least sufficient share
    left, whole-GPU pods to the first idle GPUs. A pod that fits nowhere stays unplaced; one that
    fits is placed, whatever its scores: NaN and -inf count as the lowest number there is.

    Args:
        score: the policy; called with numpy's floating-point warnings off.
        nodes: (N, 4) CPU milli, memory MiB, GPUs, model index.
        classes: (C, 5) CPU milli, memory MiB, GPUs, milli per GPU, models as bits (0: any).
        popularity: (L, C) share of each class among the pods of each list.
        arrivals: L lists, the class of each pod in order of arrival.

    Returns:
        One (P, 2) array for each list: node index or -1, and the GPUs used as a bit mask.
    """
    with np.errstate(all="ignore"):
        columns = Columns(score, nodes, classes, popularity)
        answers = [np.full((len(pods), 2), (UNPLACED, 0), dtype=np.int64) for pods in arrivals]
        runs = [
            _place(columns, nodes, classes, pods, answer)
            for pods, answer in zip(arrivals, answers, strict=True)
        ]
        wanted = {index: next(run) for index, run in enumerate(runs)}
        while wanted:
            found = columns.compute(list(wanted.items()))
            for index, column in zip(tuple(wanted), found, strict=True):
                try:
                    wanted[index] = runs[index].send(column)
                except StopIteration:
                    del wanted[index]
    return answers


def _place(
    columns: Columns, nodes: Ints, classes: Ints, pods: Ints, answer: Ints
) -> Generator[State, Floats, None]:
    """Place one list into `answer`; yields every state that it needs the column of."""
    cluster = _Cluster(nodes, columns.shape_of)
    requests: list[list[int]] = classes.tolist()
    known: dict[State, Floats] = {}
    table = np.empty((len(classes), len(nodes)))
    for node in range(len(nodes)):
        state = cluster.state(node)
        if state not in known:
            known[state] = yield state
        table[:, node] = known[state]
    for index, pod in enumerate(pods.tolist()):
        scores = table[pod]
        node = int(scores.argmax())
        if scores[node] == -np.inf:
            continue
        answer[index] = node, cluster.take(node, requests[pod])
        state = cluster.state(node)
        if state not in known:
            known[state] = yield state
        table[:, node] = known[state]


class _Cluster:
    """What is free on each node."""

    def __init__(self, nodes: Ints, shape_of: Ints) -> None:
        self._shape: list[int] = shape_of.tolist()
        self._cpu: list[int] = nodes[:, CPU].tolist()
        self._memory: list[int] = nodes[:, MEMORY].tolist()
        self._free = [[MILLI] * count for count in nodes[:, GPUS].tolist()]

    def state(self, node: int) -> State:
        """What the score of a pod on `node` depends on."""
        free = tuple(sorted(self._free[node]))
        return self._shape[node], self._cpu[node], self._memory[node], free

    def take(self, node: int, request: list[int]) -> int:
        """Give a pod what it asks for; returns the bit mask of its GPUs."""
        cpu, memory, gpus, milli, _spec = request
        self._cpu[node] -= cpu
        self._memory[node] -= memory
        free = self._free[node]
        mask = 0
        for _ in range(gpus):
            gpu = min((left, index) for index, left in enumerate(free) if left >= milli)[1]
            free[gpu] -= milli
            mask |= 1 << gpu
        return mask
