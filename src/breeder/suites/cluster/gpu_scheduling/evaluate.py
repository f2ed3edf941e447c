"""Scores a placement policy by replaying its placements on the evaluator's own cluster."""

import functools
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pod_generator import Generator
from pod_placement import place_all
from pod_policies import POLICIES
from pod_replay import Outcome, replay
from pod_workload import (
    CPU_VARIANTS,
    TRAIN,
    VARIABLE,
    Source,
    Trace,
    WithVariants,
    Workload,
    assemble,
)

from breeder.evaluation.candidate import Candidate, InvalidAnswerError, Result

# Orders of arrival. Selection sees the first two, never the held-out ones.
QUICK_ORDER, TRAIN_ORDER, HELD_OUT_ORDERS = 2, 1, (42, 43)
VERIFY_ORDERS = 3  # with the seed of a verification, what its orders are drawn from
QUICK_LISTS = ("default", "cpu200")
QUICK_EVERY, TRAIN_EVERY = 8, 3  # train on every third node; held-out runs use the whole cluster
COMMON = 0.5  # part of the arrivals after which the online check changes the rest
AT_ONCE = 10  # held-out lists per call
CHECKED, HELD_OUT_CHECKED = 1, 3  # lists of a workload that are placed again without their end
KINDS = ("cpu", "gpushare", "multigpu", "gpuspec")


class Row(NamedTuple):
    """What became of a list in one order of arrival."""

    name: str
    order: int
    outcome: Outcome


def source() -> Source:
    """The published trace where its environment variable names a folder, or the generator."""
    folder = os.environ.get(VARIABLE)
    return Trace(Path(folder)) if folder else Generator()


SOURCE = source()


def held_out_lists() -> tuple[str, ...]:
    """Every list that selection never sees."""
    return tuple(name for name in SOURCE.names() if name not in TRAIN)


@functools.cache
def quick_workload() -> Workload:
    """Two lists on an eighth of the cluster; the first once more with another second half."""
    workload = assemble(SOURCE, QUICK_LISTS, (QUICK_ORDER,), every=QUICK_EVERY)
    first = workload.arrivals[0]
    changed = first.copy()
    half = int(COMMON * len(first))
    changed[half:] = np.random.default_rng(QUICK_ORDER).permutation(first[half:])
    return workload._replace(
        names=(*workload.names, workload.names[0]),
        orders=(*workload.orders, QUICK_ORDER),
        popularity=workload.popularity[[0, 1, 0]],
        arrivals=[*workload.arrivals, changed],
    )


@functools.cache
def train_workload() -> Workload:
    """The training lists, and variants of one of them, on a third of the cluster."""
    names = (*TRAIN, *CPU_VARIANTS)
    return assemble(WithVariants(SOURCE), names, (TRAIN_ORDER,), every=TRAIN_EVERY)


def held_out_workloads(orders: Sequence[int] = HELD_OUT_ORDERS) -> list[Workload]:
    """All other lists on the whole cluster in two other orders, a few at a time."""
    names = held_out_lists()
    size = AT_ONCE // len(orders)
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    return [assemble(SOURCE, part, orders) for part in parts]


def evaluate_quick(candidate: Candidate) -> dict[str, float]:
    """A small cluster, and a check that placements do not depend on pods yet to come."""
    workload = quick_workload()
    answers = ask(candidate, workload)
    rows = measure(workload, answers)
    half = int(COMMON * len(workload.arrivals[0]))
    if not np.array_equal(answers[0][:half], answers[-1][:half]):
        raise InvalidAnswerError(
            "the same pods were placed differently when later ones differed; "
            "score must depend on its arguments alone"
        )
    return {"quick_allocated": mean(row.outcome.at_end for row in rows)}


def evaluate(candidate: Candidate) -> Result:
    """The training lists."""
    return report(judge(candidate, [train_workload()], CHECKED))


def evaluate_held_out(candidate: Candidate) -> Result:
    """The lists and orders that selection never sees, on the whole cluster."""
    return report(judge(candidate, held_out_workloads(), HELD_OUT_CHECKED))


def verify(candidate: Candidate) -> Result:
    """The held-out lists in two orders that nobody has seen, drawn from the verification's seed."""
    orders = np.random.SeedSequence([VERIFY_ORDERS, candidate.seed]).generate_state(2)
    return report(judge(candidate, held_out_workloads(orders.tolist()), HELD_OUT_CHECKED))


def judge(candidate: Candidate, workloads: Sequence[Workload], checked: int) -> list[Row]:
    """What became of every list, once it is clear that the placements were made online."""
    answers = [ask(candidate, each) for each in workloads]
    rows = [row for pair in zip(workloads, answers, strict=True) for row in measure(*pair)]
    for pair in zip(workloads, answers, strict=True):
        check_online(candidate, *pair, checked)
    return rows


def check_online(
    candidate: Candidate, workload: Workload, answers: Sequence[Any], count: int
) -> None:
    """Refuse placements that a program does not repeat when it is not told of later pods.

    Lists and cuts are drawn from the operating system's entropy and the program starts afresh,
    after it has answered: it cannot know which placements it must be able to repeat, nor remember
    them. What an honest program scores does not depend on the draw.

    Raises:
        InvalidAnswerError: a placement depended on what came later, or on chance or other lists.
    """
    candidate.restart()
    entropy = random.SystemRandom()
    chosen = entropy.sample(range(len(answers)), count)
    cuts = [entropy.randint(1, len(workload.arrivals[index])) for index in chosen]
    shorter = workload._replace(
        popularity=workload.popularity[chosen],
        arrivals=[workload.arrivals[i][:cut] for i, cut in zip(chosen, cuts, strict=True)],
    )
    for index, cut, again in zip(chosen, cuts, ask(candidate, shorter), strict=True):
        if not np.array_equal(answers[index][:cut], again):
            raise InvalidAnswerError(
                f"list {workload.names[index]}: the first {cut} pods were placed differently when "
                "no others followed; score must depend on its arguments alone"
            )


def ask(candidate: Candidate, workload: Workload) -> list[Any]:
    """The candidate's placements, one array for each list of `workload`."""
    answers = candidate.call(
        "place",
        workload.nodes,
        workload.classes,
        workload.popularity,
        list(workload.arrivals),
    )
    if not isinstance(answers, list) or len(answers) != len(workload.arrivals):
        raise InvalidAnswerError(f"place must answer a list of {len(workload.arrivals)} arrays")
    return answers


def measure(workload: Workload, answers: Sequence[Any]) -> list[Row]:
    """What became of every list."""
    labels = zip(workload.names, workload.orders, strict=True)
    return [
        Row(name, order, replay(workload, index, answers[index]))
        for index, (name, order) in enumerate(labels)
    ]


def report(rows: Sequence[Row]) -> Result:
    """Metrics over the lists, and a table of them for proposers and people."""
    lines = [
        f"{row.name}, order {row.order}: {row.outcome.at_end:.2f} % of the GPUs allocated, "
        f"{row.outcome.stranded_gpu:.2f} % stranded; {row.outcome.stranded_cpu:.2f} % of the CPU "
        "stranded"
        for row in rows
    ]
    return Result(metrics_of(rows), {"lists": "\n".join(lines)})


def metrics_of(rows: Sequence[Row]) -> dict[str, float]:
    """Means over lists and orders, in % of capacity; GPU allocation also by kind of list."""
    outcomes = [row.outcome for row in rows]
    return {
        "gpu_allocated": mean(outcome.at_end for outcome in outcomes),
        "gpu_allocated_100": mean(outcome.at_capacity for outcome in outcomes),
        "stranded_gpu": mean(outcome.stranded_gpu for outcome in outcomes),
        "stranded_cpu": mean(outcome.stranded_cpu for outcome in outcomes),
        **by_kind(allocation(rows)),
    }


def allocation(rows: Sequence[Row]) -> dict[str, float]:
    """GPU allocation of each list, mean over orders."""
    names = dict.fromkeys(row.name for row in rows)
    return {name: mean(row.outcome.at_end for row in rows if row.name == name) for name in names}


def by_kind(allocated: Mapping[str, float]) -> dict[str, float]:
    """Mean allocation over the lists of each kind, and over those with published results."""
    groups = {kind: [name for name in allocated if name.startswith(kind)] for kind in KINDS}
    groups["published"] = [name for name in allocated if name in published_fgd()]
    return {
        f"allocated_{group}": mean(allocated[name] for name in names)
        for group, names in groups.items()
        if names
    }


@functools.cache
def published_fgd() -> dict[str, float]:
    """The published allocation of FGD on each list, where it is at hand."""
    return SOURCE.published("FGD") if isinstance(SOURCE, Trace) else {}


@functools.cache
def baseline_rows(split: str, policy: str) -> list[Row]:
    """What became of every list of a split under a baseline policy."""
    workloads = held_out_workloads() if split == "held_out" else [train_workload()]
    return [row for each in workloads for row in measure(each, run(policy, each))]


def run(policy: str, workload: Workload) -> list[Any]:
    """Placements of a baseline policy."""
    return place_all(
        POLICIES[policy],
        workload.nodes,
        workload.classes,
        workload.popularity,
        workload.arrivals,
    )


def baselines(split: str) -> dict[str, dict[str, float]]:
    """Metrics of the four policies, of the published FGD, and of the best of these per list.

    Published results hold for the whole cluster, hence for the held-out split alone. What a
    champion must beat is `best per list`: list by list the highest allocation of the others.
    """
    rows = {policy: baseline_rows(split, policy) for policy in POLICIES}
    found = {policy: metrics_of(each) for policy, each in rows.items()}
    lists = [allocation(each) for each in rows.values()]
    known = lists[0].keys() & published_fgd().keys() if split == "held_out" else set()
    if known:
        published = {name: published_fgd()[name] for name in sorted(known)}
        found["published FGD"] = by_kind(published)
        lists.append(published)
    best = {name: max(each[name] for each in lists if name in each) for name in lists[0]}
    found["best per list"] = {"gpu_allocated": mean(best.values()), **by_kind(best)}
    return found


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean."""
    return float(np.mean(list(values)))
