"""Scores a priority function for online bin packing by replaying where it put each item."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

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

# Seeds of the instances. Selection sees the first two, never the third. Verification adds a seed of
# its own to the last.
QUICK_SEED, TRAIN_SEED, HELD_OUT_SEED, VERIFY_SEED = 1, 2, 3, 4
CHECKED = {"or3": 4, "weibull": 2}  # training instances that are packed again with another end

Answers = Mapping[str, Sequence[Any]]


def quick_instances() -> Families:
    """Small instances that weed out what is much worse than first fit."""
    return draw(QUICK_SEED, or3=(4, 250), long=(1, 1000))


def train_instances() -> Families:
    """What selection works on: the published sizes, 20 x 500 and 2 x 5,000 items."""
    return draw(TRAIN_SEED, or3=(20, 500), long=(2, 5000))


def held_out_instances() -> Families:
    """Fresh draws of the same distributions."""
    return draw(HELD_OUT_SEED, or3=(40, 500), long=(5, 5000))


def fresh_instances(seed: int) -> Families:
    """As many as held out, drawn from a seed of which none is public."""
    return draw((VERIFY_SEED, seed), or3=(40, 500), long=(5, 5000))


def evaluate_quick(candidate: Candidate) -> dict[str, float]:
    """Pack the small instances."""
    families = quick_instances()
    metrics = measure(families, ask(candidate, families))
    return {f"quick_{name}": value for name, value in metrics.items()}


def evaluate(candidate: Candidate) -> Result:
    """Pack the training instances, then check that decisions did not depend on the future."""
    families = train_instances()
    answers = ask(candidate, families)
    metrics = measure(families, answers)
    check_online(candidate, families, answers, CHECKED)
    words = (f"{name}: {value:.3f} % over the lower bound" for name, value in metrics.items())
    return Result(metrics, {"families": "\n".join(words)})


def evaluate_held_out(candidate: Candidate) -> dict[str, float]:
    """Pack instances that selection never saw, and the published ones where they are at hand."""
    metrics = measure_checked(candidate, held_out_instances())
    real = real_instances()
    if real is not None:
        published = measure(real, ask(candidate, real))
        metrics |= {f"published_{name}": value for name, value in published.items()}
    return metrics


def verify(candidate: Candidate) -> dict[str, float]:
    """Pack instances that nobody has seen, drawn from the seed of the verification."""
    return measure_checked(candidate, fresh_instances(candidate.seed))


def measure_checked(candidate: Candidate, families: Families) -> dict[str, float]:
    """Pack instances, then every one of them again with another end."""
    answers = ask(candidate, families)
    metrics = measure(families, answers)
    counts = {family: len(instances) for family, instances in families.items()}
    check_online(candidate, families, answers, counts)
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


def ask(candidate: Candidate, families: Families) -> Answers:
    """Where the candidate puts the items of every instance, unchecked."""
    return {
        family: [candidate.call("pack", one.items, one.capacity) for one in instances]
        for family, instances in families.items()
    }


def measure(families: Families, answers: Answers) -> dict[str, float]:
    """Replay the answers.

    Raises:
        InvalidAnswerError: one of them is no packing.
    """
    return averages(
        {
            family: excess(
                instances,
                [replay(*pair) for pair in zip(instances, answers[family], strict=True)],
            )
            for family, instances in families.items()
        }
    )


def averages(by_family: dict[str, float]) -> dict[str, float]:
    """Name the excess of each family and add the mean, which is the objective."""
    named = {f"excess_{family}": value for family, value in by_family.items()}
    return {"excess": sum(by_family.values()) / len(by_family), **named}


def check_online(
    candidate: Candidate, families: Families, answers: Answers, counts: Mapping[str, int]
) -> None:
    """Refuse a program whose early decisions change when only later items do.

    Instances and cuts are drawn from the operating system's entropy and the program starts afresh,
    after it has answered: it cannot know which decisions it must be able to repeat, nor remember
    them. What an honest program scores does not depend on the draw.

    Args:
        candidate: has given `answers`.
        families: what it was asked.
        answers: its valid answers.
        counts: how many instances of each family are packed again.

    Raises:
        InvalidAnswerError: a decision depended on what came later, or on chance or earlier calls.
    """
    candidate.restart()
    entropy = random.SystemRandom()
    fresh = np.random.default_rng()
    for family, instances in families.items():
        for index in entropy.sample(range(len(instances)), counts[family]):
            items, capacity = instances[index]
            cut = entropy.randrange(1, len(items))
            other = np.concatenate([items[:cut], fresh.permutation(items)[cut:]])
            again = candidate.call("pack", other, capacity)
            replay(Instance(other, capacity), again)
            if not np.array_equal(answers[family][index][:cut], again[:cut]):
                raise InvalidAnswerError(
                    f"not online or not deterministic: the first {cut} decisions of a {family} "
                    "instance changed when only later items did"
                )
