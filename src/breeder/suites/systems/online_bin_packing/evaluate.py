"""Scores a priority function for online bin packing by replaying where it put each item."""

import numpy as np
from bin_packing_instances import (
    Families,
    Instance,
    draw,
    excess,
    heuristic_bins,
    real_instances,
    replay,
)

from breeder.evaluation.candidate import Candidate, InvalidAnswerError, Result

# Seeds of the instances. Selection sees the first two, never the third.
QUICK_SEED, TRAIN_SEED, HELD_OUT_SEED = 1, 2, 3


def quick_instances() -> Families:
    """Small instances that weed out what is much worse than first fit."""
    return draw(QUICK_SEED, or3=(4, 250), long=(1, 1000))


def train_instances() -> Families:
    """What selection works on: the published sizes, 20 x 500 and 2 x 5,000 items."""
    return draw(TRAIN_SEED, or3=(20, 500), long=(2, 5000))


def held_out_instances() -> Families:
    """Fresh draws of the same distributions."""
    return draw(HELD_OUT_SEED, or3=(40, 500), long=(5, 5000))


def evaluate_quick(candidate: Candidate) -> dict[str, float]:
    """Pack the small instances."""
    return {f"quick_{name}": value for name, value in measure(candidate, quick_instances()).items()}


def evaluate(candidate: Candidate) -> Result:
    """Pack the training instances, after checking that decisions do not depend on the future."""
    families = train_instances()
    check_online(candidate, families)
    metrics = measure(candidate, families)
    words = (f"{name}: {value:.3f} % over the lower bound" for name, value in metrics.items())
    return Result(metrics, {"families": "\n".join(words)})


def evaluate_held_out(candidate: Candidate) -> dict[str, float]:
    """Pack instances that selection never saw, and the published ones where they are at hand."""
    metrics = measure(candidate, held_out_instances())
    real = real_instances()
    if real is not None:
        metrics |= {f"published_{name}": v for name, v in measure(candidate, real).items()}
    return metrics


def baselines(split: str) -> dict[str, dict[str, float]]:
    """First fit and best fit on the instances of a split, `search` or `held_out`."""
    sets = {"": train_instances() if split == "search" else held_out_instances()}
    real = real_instances() if split == "held_out" else None
    if real is not None:
        sets["published_"] = real
    return {
        rule: {
            prefix + name: value
            for prefix, families in sets.items()
            for name, value in averages(
                {
                    family: excess(instances, [heuristic_bins(one, rule) for one in instances])
                    for family, instances in families.items()
                }
            ).items()
        }
        for rule in ("first_fit", "best_fit")
    }


def measure(candidate: Candidate, families: Families) -> dict[str, float]:
    """Let the candidate pack every instance and replay its answers."""
    return averages(
        {
            family: excess(
                instances,
                [replay(one, candidate.call("pack", one.items, one.capacity)) for one in instances],
            )
            for family, instances in families.items()
        }
    )


def averages(by_family: dict[str, float]) -> dict[str, float]:
    """Name the excess of each family and add the mean, which is the objective."""
    named = {f"excess_{family}": value for family, value in by_family.items()}
    return {"excess": sum(by_family.values()) / len(by_family), **named}


def check_online(candidate: Candidate, families: Families) -> None:
    """Refuse a program whose early decisions change when only later items do.

    In the second half of one instance of each family small and large items change roles; where the
    first half goes must stay the same.
    """
    for family, instances in families.items():
        items, capacity = instances[candidate.seed % len(instances)]
        half = len(items) // 2
        other = np.concatenate([items[:half], items.min() + items.max() - items[half:]])
        before = candidate.call("pack", items, capacity)
        after = candidate.call("pack", other, capacity)
        replay(Instance(items, capacity), before)
        replay(Instance(other, capacity), after)
        if not np.array_equal(before[:half], after[:half]):
            raise InvalidAnswerError(
                f"not online or not deterministic: the first {half} decisions of a {family} "
                "instance changed when only later items did"
            )
