"""Instances, replay, lower bound and baselines of online bin packing. Trusted side only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breeder.errors import UserError
from breeder.evaluation.candidate import InvalidAnswerError

VARIABLE = "BREEDER_BINPACKING"
REAL_FILE = "funsearch_or3_weibull5k.json"
REAL_NAMES: Mapping[str, str] = {"or3": "OR3", "weibull": "Weibull 5k"}
OR3_CAPACITY = 150
WEIBULL_CAPACITY = 100

Items = NDArray[np.int64]
Heuristic = Literal["first_fit", "best_fit"]


class Instance(NamedTuple):
    """Items in the order of arrival, (n,) integers in 1..capacity, and the capacity of a bin."""

    items: Items
    capacity: int


Families = Mapping[str, Sequence[Instance]]


def or3_like(rng: np.random.Generator, items: int) -> Instance:
    """Draw as for the u sets of the OR-library (Falkenauer 1996): uniform integers 20..100."""
    return Instance(rng.integers(20, 101, items), OR3_CAPACITY)


def weibull(rng: np.random.Generator, items: int) -> Instance:
    """Draw as in FunSearch (Romera-Paredes et al. 2024): Weibull(shape 3, scale 45), capped."""
    sizes = np.rint(45.0 * rng.weibull(3.0, items))
    return Instance(np.clip(sizes, 1, WEIBULL_CAPACITY).astype(np.int64), WEIBULL_CAPACITY)


def draw(
    seed: int | tuple[int, ...], or3: tuple[int, int], long: tuple[int, int]
) -> dict[str, list[Instance]]:
    """Draw both families from one seed, or from several together.

    Args:
        seed: equal seeds give equal instances.
        or3: number of OR3-like instances and items in each.
        long: number of Weibull instances and items in each.
    """
    rng = np.random.default_rng([26_061, *(seed if isinstance(seed, tuple) else (seed,))])
    return {
        "or3": [or3_like(rng, or3[1]) for _ in range(or3[0])],
        "weibull": [weibull(rng, long[1]) for _ in range(long[0])],
    }


def real_instances() -> dict[str, list[Instance]] | None:
    """Read the published instances that the environment variable points at; None when unset.

    Raises:
        UserError: the variable is set but the file cannot be read as such instances.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    path = Path(folder) / REAL_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {
            family: [
                Instance(np.array(one["items"], dtype=np.int64), int(one["capacity"]))
                for one in data[name].values()
            ]
            for family, name in REAL_NAMES.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{VARIABLE}: {path} cannot be read as bin packing instances ({error!r}); "
            "correct the variable or unset it"
        ) from None


def replay(instance: Instance, answer: object) -> int:
    """Put the items where `answer` says and return the number of bins used.

    Args:
        instance: the items and the capacity.
        answer: (n,) integers; bins are numbered 0, 1, 2, ... as they are opened.

    Raises:
        InvalidAnswerError: anything else, a bin opened out of turn, or a bin that overflows.
    """
    chosen = answer if isinstance(answer, np.ndarray) else np.array([])
    items, capacity = instance
    if chosen.shape != items.shape or chosen.dtype.kind not in "iu":
        raise InvalidAnswerError(f"pack must return {len(items)} integers, one bin per item")
    bins: list[int] = []
    for position, (item, index) in enumerate(zip(items.tolist(), chosen.tolist(), strict=True)):
        if index == len(bins):
            bins.append(0)
        if not 0 <= index < len(bins):
            raise InvalidAnswerError(
                f"item {position} goes to bin {index}, the next is {len(bins)}"
            )
        bins[index] += item
        if bins[index] > capacity:
            raise InvalidAnswerError(f"item {position} overflows bin {index}")
    return len(bins)


def lower_bound(instance: Instance) -> int:
    """The L1 bound: total size over capacity, rounded up."""
    return -(-int(instance.items.sum()) // instance.capacity)


def excess(instances: Sequence[Instance], bins: Sequence[int]) -> float:
    """Bins beyond the lower bound over all instances of a family, in percent of the bound."""
    return 100.0 * (sum(bins) / sum(lower_bound(one) for one in instances) - 1.0)


def heuristic_bins(instance: Instance, rule: Heuristic) -> int:
    """Number of bins that first fit or best fit uses; ties go to the bin opened first."""
    items, capacity = instance
    room = np.full(len(items), capacity, dtype=np.int64)
    opened = 0
    for item in items.tolist():
        left = room[: opened + 1] - item  # one empty bin is always on offer
        if rule == "first_fit":
            index = int((left >= 0).argmax())
        else:
            index = int(np.where(left >= 0, left, capacity + 1).argmin())
        room[index] -= item
        opened = max(opened, index + 1)
    return opened
