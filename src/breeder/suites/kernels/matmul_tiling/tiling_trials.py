"""Fresh trials of a choice of tilings: rounds that nothing remembered enters, and an interval."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from tiling_clock import Clock
from tiling_family import Family, Shape, Tiling

from breeder.measurement import estimate

ERROR = 0.05


class Length(NamedTuple):
    """How long a trial is.

    Attributes:
        pairs: batches of either tiling on a shape in one round; the least of each is compared.
        least: rounds before it may be stopped; an interval at 5 % needs six.
        most: rounds of a trial that is not stopped.
    """

    pairs: int = 2
    least: int = 6
    most: int = 16


class Trial(NamedTuple):
    """What a trial came to.

    Attributes:
        value: geometric mean over shapes of how many times faster the choice is than the textbook.
        low, high: 95 % interval.
        log_ratios: one mean over shapes for each round.
        per_shape: geometric mean over rounds, for each shape.
        seconds: for each shape what its batches took, textbook tiling and chosen one.
    """

    value: float
    low: float
    high: float
    log_ratios: tuple[float, ...]
    per_shape: tuple[float, ...]
    seconds: tuple[tuple[tuple[float, float], ...], ...]


def trial(
    family: Family,
    clock: Clock,
    choice: Sequence[tuple[Shape, Tiling]],
    *,
    rng: random.Random,
    length: Length | None = None,
    to_beat: float | None = None,
) -> Trial:
    """Time a tiling per shape against the textbook tiling, round by round.

    A round visits every shape in random order and times both tilings there in pairs, each in an
    order of its own; equal work is timed like any other. Within a round and shape the least times
    are compared, which passes over disturbed batches; were the tilings equally fast, exchanging
    them would only change the sign of a round's mean log-ratio, so that its distribution is
    symmetric about the truth as `measurement.estimate` asks.

    Args:
        family: of the tilings.
        clock: opened for this trial, so that its operands are fresh.
        choice: the tilings and where they are used.
        rng: draws the order of the shapes.
        length: how many rounds.
        to_beat: end early, from `length.least` rounds on, when the interval is below this speed-up.
    """
    length = length or Length()
    textbook = family.textbook()
    rounds: list[list[float]] = []
    seconds: list[list[tuple[float, float]]] = [[] for _ in choice]
    while len(rounds) < length.most:
        logs = [0.0] * len(choice)
        for index in rng.sample(range(len(choice)), len(choice)):
            shape, tiling = choice[index]
            both = [family.on(shape, textbook), family.on(shape, tiling)]
            times = [clock.round(shape, both) for _ in range(length.pairs)]
            seconds[index] += [(base, chosen) for base, chosen in times]
            slow, fast = (min(column) for column in zip(*times, strict=True))
            logs[index] = math.log(slow / fast)
        rounds.append(logs)
        if to_beat is not None and len(rounds) >= length.least:
            _, _, high = estimate(_means(rounds), error=ERROR)
            if high < math.log(to_beat):
                break
    means = _means(rounds)
    value, low, high = (math.exp(x) for x in estimate(means, error=ERROR))
    columns = zip(*rounds, strict=True)
    per_shape = tuple(math.exp(math.fsum(column) / len(column)) for column in columns)
    return Trial(value, low, high, tuple(means), per_shape, tuple(map(tuple, seconds)))


def _means(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(logs) / len(logs) for logs in rounds]
