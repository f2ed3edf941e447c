"""A cluster and pod lists in the likeness of the published trace, for where that is absent.

Trusted code. The tables below were fitted to the trace: its default pod list was grouped by GPU
request, and each group summarised by a few request shapes in round numbers with rounded weights;
the node list by the share of each hardware type. The variants reweight the groups, as the published
lists do. Every list draws its own perturbed catalogue of request shapes, so lists of different
seeds differ in more than order.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
from pod_workload import GPU_MILLI, GPUS, MILLI, SPEC, TRAIN, Floats, Ints, PodList

from breeder.errors import TaskError

PODS = 8000  # of the default list; variants have more or fewer
NODES = 1200
RUN = 4  # nodes of one type stand together, about that many at a time
HELD_OUT = (
    "cpu050", "cpu250", "cpu300", "gpushare20", "gpushare80", "gpushare100",
    "gpuspec10", "gpuspec33", "multigpu20", "multigpu50",
)  # fmt: skip
TRAIN_SEED, HELD_OUT_SEED, CLUSTER_SEED = 11, 12, 13

MODELS = ("G2", "G3", "P100", "T4", "V100M16", "V100M32")

# model, GPUs, cores, GiB, nodes in a hundred
HARDWARE = (
    (0, 8, 96, 384, 45), (1, 8, 128, 768, 3), (2, 2, 16, 120, 9), (2, 2, 64, 256, 2),
    (3, 2, 104, 512, 32), (3, 4, 96, 512, 1), (4, 1, 8, 32, 2), (4, 4, 32, 128, 2),
    (4, 8, 64, 256, 1), (5, 4, 48, 368, 1), (5, 8, 96, 768, 2),
)  # fmt: skip

# pods in a thousand, GPUs of each
GROUPS = {
    "cpu": (133, 0),
    "share": (378, 1),
    "one": (480, 1),
    "2": (2, 2),
    "4": (2, 4),
    "8": (5, 8),
}

# group: weight within it, cores, GiB per core, share of a GPU in %
SHAPES = {
    "cpu": (
        (34, 12.5, 4.5, 0), (27, 32, 1.5, 0), (17, 8, 3.75, 0), (11, 15.5, 3.25, 0),
        (9, 16.5, 3, 0), (2, 16, 2, 0),
    ),
    "share": (
        (34, 3, 1.75, 80), (13, 12, 4, 45), (12, 8, 3.75, 45), (8, 12, 4, 65), (8, 4, 5.5, 30),
        (5, 4, 4, 25), (4, 6, 2.5, 45), (3, 3, 1.75, 60), (3, 8, 3.75, 30), (3, 4, 2.5, 55),
        (2, 4, 4, 15), (2, 4, 2.5, 35), (1, 6, 5.5, 20), (1, 1, 2, 30), (1, 6, 3, 10),
    ),
    "one": (
        (38, 11.5, 4.25, 100), (12, 3, 1.75, 100), (8, 12, 1.5, 100), (7, 18.5, 3.5, 100),
        (5, 10, 4.25, 100), (5, 8, 2.5, 100), (4, 4, 6, 100), (4, 16, 3.5, 100),
        (4, 16, 2, 100), (4, 12, 4, 100), (3, 14, 4, 100), (2, 24, 3.75, 100), (1, 16.5, 7.5, 100),
    ),
    "2": ((5, 16, 4, 100), (2, 6, 10, 100), (2, 30, 5, 100), (1, 17, 2.5, 100)),
    "4": ((8, 32, 4, 100), (2, 60, 5, 100)),
    "8": ((48, 64, 4, 100), (41, 88, 3.75, 100), (11, 120, 5.5, 100)),
}  # fmt: skip

# accepted models, weight; of the pods that name any
SPECS = (
    ((3,), 55), ((0,), 14), ((2,), 12), ((4, 5), 7), ((2, 4, 5), 5), ((1,), 4),
    ((0, 2, 3, 4, 5), 3),
)  # fmt: skip

# a shape and its two variants: share of its pods, factor on cores, factor on memory
VARIANTS = ((0.84, 1.0, 1.0), (0.1, 0.75, 1.0), (0.06, 1.25, 1.25))
LARGEST = (120_000, 768 * 1024)  # milli-cores and MiB that the largest request may be perturbed to
SPREAD = 0.35  # of the logarithm of a shape's weight from list to list


class Generator:
    """The generated cluster and its lists; the same for everyone."""

    def __init__(self) -> None:
        rng = np.random.default_rng(CLUSTER_SEED)
        counts = [row[4] * NODES // 100 for row in HARDWARE]
        runs = [kind for kind, count in enumerate(counts) for kind in [kind] * -(-count // RUN)]
        order = np.repeat(rng.permutation(runs), RUN)
        left = np.array(counts)
        kinds = []
        for kind in order.tolist():
            if left[kind]:
                left[kind] -= 1
                kinds.append(kind)
        table = [(cores * 1000, gib * 1024, gpus, model) for model, gpus, cores, gib, _ in HARDWARE]
        self.nodes: Ints = np.array(table, dtype=np.int64)[kinds]

    def names(self) -> tuple[str, ...]:
        """The lists; those for training first."""
        return (*TRAIN, *HELD_OUT)

    def pod_list(self, name: str) -> PodList:
        """Draw the list `name`: `default`, or a kind and a percentage such as `cpu200`.

        `cpuX`: X % as many pods without GPU. `gpushareX`, `multigpuX`: X % of the requested GPU
        share by pods with a fraction of a GPU, or with several. `gpuspecX`: X % of the pods with
        one GPU, or a part of one, name models. Training lists and others are drawn with
        different seeds.

        Raises:
            TaskError: there is no such list.
        """
        match = re.fullmatch(r"default|(cpu|gpushare|multigpu|gpuspec)(\d+)", name)
        if match is None:
            raise TaskError("pod list", "", f"{name!r} does not exist", "name one of the README")
        kind, percent = match[1] or "cpu", int(match[2] or 100)
        seed = TRAIN_SEED if name in TRAIN else HELD_OUT_SEED
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        classes, weights = _catalogue(rng)
        weights = _reweigh(weights, classes, kind, percent)
        if kind == "gpuspec":
            classes, weights = _specify(classes, weights, percent / 100)
        counts = rng.multinomial(round(PODS * weights.sum()), weights / weights.sum())
        merged, index = np.unique(classes, axis=0, return_inverse=True)
        return PodList(merged, np.repeat(index.reshape(-1), counts))


def _catalogue(rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Request shapes (C, 5) and their weights (C,), which add up to about one."""
    classes, weights = [], []
    for group, (thousandths, gpus) in GROUPS.items():
        shapes = SHAPES[group]
        drawn = [row[0] * np.exp(SPREAD * rng.standard_normal()) for row in shapes]
        for weight, (_, cores, ratio, percent) in zip(drawn, shapes, strict=True):
            for share, cpu_factor, memory_factor in VARIANTS:
                cpu = min(max(1000, round(cores * cpu_factor * 2) * 500), LARGEST[0])
                memory = min(round(cores * ratio * memory_factor) * 1024, LARGEST[1])
                classes.append((cpu, memory, gpus, percent * MILLI // 100, 0))
                weights.append(thousandths / 1000 * share * weight / sum(drawn))
    return np.array(classes, dtype=np.int64), np.array(weights)


def _reweigh(weights: Floats, classes: Ints, kind: str, percent: int) -> Floats:
    """Give one group of pods more or less weight; see `Generator.pod_list`."""
    if kind == "gpuspec":
        return weights
    if kind == "cpu":
        return np.where(classes[:, GPUS] == 0, weights * percent / 100, weights)
    fraction = (classes[:, GPUS] > 0) & (classes[:, GPU_MILLI] < MILLI)
    chosen = fraction if kind == "gpushare" else classes[:, GPUS] > 1
    demand = weights * classes[:, GPUS] * classes[:, GPU_MILLI]
    others = (classes[:, GPUS] > 0) & ~chosen
    total = demand.sum()
    factor = np.where(chosen, percent / 100 * total / demand[chosen].sum(), 1.0)
    factor[others] = (1 - percent / 100) * total / demand[others].sum()
    return weights * factor


def _specify(classes: Ints, weights: Floats, share: float) -> tuple[Ints, Floats]:
    """Let `share` of the pods of every class with one GPU, or a part of one, name models."""
    gpu = classes[:, GPUS] == 1
    tables, parts = [classes], [np.where(gpu, weights * (1 - share), weights)]
    total = sum(weight for _, weight in SPECS)
    for models, weight in SPECS:
        named = classes[gpu].copy()
        named[:, SPEC] = sum(1 << model for model in models)
        tables.append(named)
        parts.append(weights[gpu] * share * weight / total)
    return np.vstack(tables), np.concatenate(parts)
