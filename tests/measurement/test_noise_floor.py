import random
from collections.abc import Iterator
from math import exp, inf, log

import numpy as np
import pytest

from breeder.measurement import ConfidenceSequence, Spent
from breeder.measurement.comparison import Work
from breeder.measurement.noise_floor import NoiseFloor, measure
from breeder.measurement.workloads import Kind


def noisy(seed: int, spread: float, share: float = 1.0) -> Work:
    """Claims 1 ms of CPU time with lognormal noise, and a wall time of which it had `share`."""
    rng = random.Random(seed)

    def work() -> Spent:
        cpu = 1e-3 * exp(rng.gauss(0, spread))
        return Spent(cpu, cpu / share)

    return work


def floor_of(log_ratios: list[float], pair_seconds: float) -> NoiseFloor:
    spread = 1.4826 * float(np.median(np.abs(log_ratios)))
    return NoiseFloor(Kind.CACHE, "cpu", 1e-3, pair_seconds, spread, 0.0, 1.0, tuple(log_ratios))


def test_the_noise_floor_is_that_of_the_work() -> None:
    works = (noisy(1, 0.03), noisy(2, 0.03, share=0.5))
    floor = measure(Kind.CACHE, 0.02, random.Random(3), works=works)
    assert floor.clock == "cpu"
    assert len(floor.log_ratios) >= 12
    # Tens of thousands of pairs fit into the time, at least hundreds on any machine.
    assert floor.spread == pytest.approx(0.03 * 2**0.5, rel=0.25)
    assert abs(floor.autocorrelation) < 0.3
    assert floor.processor_share == pytest.approx(2 / 3, rel=0.05)
    assert floor.batch_seconds == pytest.approx(1e-3, rel=0.03)


def test_the_order_within_pairs_is_drawn() -> None:
    order: list[int] = []

    def work(side: int) -> Work:
        def once() -> Spent:
            order.append(side)
            return Spent(1e-3, 1e-3)

        return once

    measure(Kind.PYTHON, 0.0, random.Random(1), works=(work(0), work(1)))
    pairs = list(zip(order[::2], order[1::2], strict=True))
    assert set(pairs) == {(0, 1), (1, 0)}


def test_at_least_twelve_pairs_are_taken_in_no_time() -> None:
    floor = measure(Kind.PYTHON, 0.0, random.Random(1), works=(noisy(1, 0.1), noisy(2, 0.1)))
    assert len(floor.log_ratios) == 12


def test_a_clock_that_stands_still_is_no_error() -> None:
    def still() -> Spent:
        return Spent(0.0, 0.0)

    floor = measure(Kind.CACHE, 0.0, random.Random(1), works=(still, still))
    assert (floor.spread, floor.processor_share) == (0.0, 1.0)
    assert floor.resolvable(60) >= 0


def test_more_time_resolves_less_and_too_little_nothing() -> None:
    rng = random.Random(1)
    floor = floor_of([rng.gauss(0, 0.05) for _ in range(500)], pair_seconds=0.01)
    limits = [floor.resolvable(seconds) for seconds in (0.5, 3, 15, 60, 600)]
    assert limits == sorted(limits, reverse=True)
    # The width goes by the root of the number of pairs, but for a logarithm.
    assert limits[3] / limits[1] == pytest.approx(20**-0.5, rel=0.3)
    assert floor.resolvable(0.1) == inf


def ratios(seed: int) -> Iterator[float]:
    """Heavy-tailed log-ratios: one in ten has ten times the spread."""
    rng = random.Random(seed)
    while True:
        yield rng.gauss(0, 0.5 if rng.random() < 0.1 else 0.05)


def detected(values: Iterator[float], shift: float, pairs: int) -> bool:
    sequence = ConfidenceSequence()
    for taken in range(1, pairs + 1):
        sequence.add(next(values) + shift)
        if taken >= 12 and taken % 10 == 0 and sequence.rejects(0.0):
            return True
    return False


def test_what_is_resolvable_is_detected_four_times_in_five() -> None:
    values = ratios(1)
    floor = floor_of([next(values) for _ in range(2000)], pair_seconds=0.01)
    shift = log(1 + floor.resolvable(3))
    found = sum(detected(ratios(seed), shift, 300) for seed in range(100, 160))
    # Looks before the end add a little: 80 % is a lower bound, but for the chance of 60 trials.
    assert 0.7 < found / 60 < 0.98
    fewer = sum(detected(ratios(seed), 0.5 * shift, 300) for seed in range(100, 160))
    assert fewer / 60 < 0.5
