"""Clusters and lists of pods, from the published trace or from the generator.

Trusted code. A `Source` names its lists and hands out a cluster and the pods of a list; `assemble`
puts several lists in order of arrival side by side, as the candidate and the baselines get them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from breeder.errors import TaskError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRESSURE = 1.3  # GPU capacity requested in the end
CPU, MEMORY, GPUS, GPU_MILLI, SPEC = range(5)  # columns of a table of pod classes
MODEL = 3  # columns of a table of nodes: CPU, MEMORY, GPUS, MODEL
MILLI = 1000  # one GPU
VARIABLE = "BREEDER_OPENB"
NODE_LIST = "openb_node_list_gpu_node.csv"
POD_LIST = "openb_pod_list_{}.csv"
PUBLISHED = "published_alloc.csv"
TRAIN = ("default", "cpu200", "gpushare60", "multigpu30")
CPU_VARIANTS = {"cpu/3": 1 / 3, "cpu*3": 3.0}  # pods without GPU for each one of the default list
UNKNOWN_MODEL = 62  # bit of a GPU model that no node has


class PodList(NamedTuple):
    """The pods of a list.

    Attributes:
        classes: (C, 5) CPU milli, memory MiB, GPUs, milli per GPU, models as bits (0: any).
        pods: (P,) class of each pod.
    """

    classes: Ints
    pods: Ints


class Source(Protocol):
    """Where clusters and pod lists come from."""

    @property
    def nodes(self) -> Ints:
        """(N, 4) CPU milli, memory MiB, GPUs, model index; in the order that breaks ties."""
        ...

    def names(self) -> tuple[str, ...]:
        """The lists that there are; those in `TRAIN` first."""
        ...

    def pod_list(self, name: str) -> PodList:
        """The pods of the list `name`."""
        ...


class WithVariants:
    """A source with the lists of `CPU_VARIANTS` beside its own.

    How many pods ask for CPU alone decides what is scarce. A score that is only shown one such
    share learns to live with that one.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def nodes(self) -> Ints:
        """As the source has them."""
        return self._source.nodes

    def names(self) -> tuple[str, ...]:
        """The lists of the source, then the variants."""
        return (*self._source.names(), *CPU_VARIANTS)

    def pod_list(self, name: str) -> PodList:
        """A list of the source, or the default one with fewer or more pods without GPU."""
        if name not in CPU_VARIANTS:
            return self._source.pod_list(name)
        classes, pods = self._source.pod_list("default")
        without_gpu = classes[pods, GPUS] == 0
        # The i-th such pod is repeated so that i of them come to i * factor in all.
        copies = np.floor(np.cumsum(without_gpu) * CPU_VARIANTS[name] + 1e-9).astype(np.int64)
        repeats = np.where(without_gpu, np.diff(copies, prepend=0), 1)
        return PodList(classes, np.repeat(pods, repeats))


class Workload(NamedTuple):
    """A cluster and L lists of pods that each arrive on it when it is empty.

    Attributes:
        names: of the lists; orders: seeds of the orders of arrival.
        nodes: (N, 4), as in `Source`; classes: (C, 5), as in `PodList`.
        popularity: (L, C) share of each class in each list.
        arrivals: L arrays, the class of each pod in order of arrival.
    """

    names: tuple[str, ...]
    orders: tuple[int, ...]
    nodes: Ints
    classes: Ints
    popularity: Floats
    arrivals: list[Ints]

    @property
    def capacity(self) -> int:
        """GPU milli of the cluster."""
        return int(self.nodes[:, GPUS].sum()) * MILLI

    def requested(self, index: int) -> Ints:
        """(P,) GPU milli that each pod of list `index` asks for."""
        return (self.classes[:, GPUS] * self.classes[:, GPU_MILLI])[self.arrivals[index]]


def assemble(
    source: Source, names: Sequence[str], orders: Sequence[int], *, every: int = 1
) -> Workload:
    """Every list in every order, on every `every`-th node of the cluster.

    A smaller cluster keeps the mix of nodes and of pods; fewer pods arrive on it.
    """
    nodes = source.nodes[::every]
    capacity = int(nodes[:, GPUS].sum()) * MILLI
    lists = [source.pod_list(name) for name in names]
    classes, merged = np.unique(
        np.vstack([each.classes for each in lists]), axis=0, return_inverse=True
    )
    starts = np.cumsum([0] + [len(each.classes) for each in lists])
    shares, arrivals = [], []
    for each, start in zip(lists, starts, strict=False):
        pods = merged.reshape(-1)[start + each.pods]
        shares += [np.bincount(pods, minlength=len(classes)) / len(pods)] * len(orders)
        arrivals += [arrange(pods, classes, capacity, order) for order in orders]
    return Workload(
        tuple(name for name in names for _ in orders),
        tuple(order for _ in names for order in orders),
        nodes,
        classes,
        np.array(shares),
        arrivals,
    )


def arrange(pods: Ints, classes: Ints, capacity: int, seed: int) -> Ints:
    """Order of arrival: shuffled, then resampled until 130 % of `capacity` is requested.

    As in the simulator of Weng et al. (2023): pods drawn from the list are appended until the next
    would exceed the target; where the list alone exceeds it, pods are taken away at random.

    Args:
        pods: (P,) class of each pod of the list.
        classes: (C, 5), as in `PodList`.
        capacity: GPU milli of the cluster.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    milli = classes[:, GPUS] * classes[:, GPU_MILLI]
    order = rng.permutation(pods)
    target = int(PRESSURE * capacity)
    total = int(milli[order].sum())
    if total > target:
        removal = rng.permutation(len(order))
        left = total - np.cumsum(milli[order[removal]])
        kept = removal[int(np.argmax(left <= target)) + 1 :]
        return order[np.sort(kept)]
    parts = [order]
    while True:
        block = rng.choice(pods, size=1024)
        reached = total + np.cumsum(milli[block])
        if reached[-1] > target:
            parts.append(block[: int(np.argmax(reached > target))])
            return np.concatenate(parts)
        parts.append(block)
        total = int(reached[-1])


class Trace:
    """A folder with the published node list and pod lists (`openb`).

    Raises:
        TaskError: the folder or a list that training needs is missing, or a file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        missing = [
            name
            for name in (NODE_LIST, *(POD_LIST.format(name) for name in TRAIN))
            if not (folder / name).is_file()
        ]
        if missing:
            raise TaskError(
                VARIABLE,
                "",
                f"{missing[0]} is not in the folder",
                "point it at the openb CSV files",
            )
        rows = sorted(self._rows(NODE_LIST), key=lambda row: row["sn"])
        self._models = sorted({row["model"] for row in rows})
        self.nodes: Ints = np.array(
            [
                (
                    int(row["cpu_milli"]),
                    int(row["memory_mib"]),
                    int(row["gpu"]),
                    self._models.index(row["model"]),
                )
                for row in rows
            ],
            dtype=np.int64,
        )

    def names(self) -> tuple[str, ...]:
        """The lists in the folder; those in `TRAIN` first."""
        head, tail = POD_LIST.split("{}")
        found = [path.name[len(head) : -len(tail)] for path in self._folder.glob(head + "*" + tail)]
        return (*TRAIN, *sorted(set(found) - set(TRAIN)))

    def pod_list(self, name: str) -> PodList:
        """Read the list `name`.

        Raises:
            TaskError: it cannot be read.
        """
        file = POD_LIST.format(name)
        try:
            table = np.array([self._request(row) for row in self._rows(file)], dtype=np.int64)
        except (KeyError, ValueError) as error:
            raise TaskError(file, "", f"cannot be read: {error}", "fetch it again") from None
        classes, pods = np.unique(table, axis=0, return_inverse=True)
        return PodList(classes, pods.reshape(-1))

    def published(self, policy: str) -> dict[str, float]:
        """Mean over seeds of `published_seeds`, for each list."""
        found = self.published_seeds(policy)
        return {name: sum(values) / len(values) for name, values in found.items()}

    def published_seeds(self, policy: str) -> dict[str, list[float]]:
        """Published GPU allocation in % at 130 % arrived, one value per seed, for each list.

        Empty when the file of published results is not in the folder.
        """
        if not (self._folder / PUBLISHED).is_file():
            return {}
        values: dict[str, list[float]] = {}
        head = POD_LIST.split("{}")[0]
        for row in self._rows(PUBLISHED):
            if row["sc_policy"].endswith(policy):
                values.setdefault(row["workload"].removeprefix(head), []).append(float(row["130"]))
        return values

    def _rows(self, name: str) -> list[dict[str, str]]:
        with (self._folder / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _request(self, row: Mapping[str, str]) -> tuple[int, int, int, int, int]:
        gpus = int(row["num_gpu"])
        spec = 0
        for model in filter(None, (row.get("gpu_spec") or "").split("|")):
            known = model in self._models
            spec |= 1 << (self._models.index(model) if known else UNKNOWN_MODEL)
        return (
            int(row["cpu_milli"]),
            int(row["memory_mib"]),
            gpus,
            int(row["gpu_milli"]) if gpus else 0,
            spec if gpus else 0,
        )
