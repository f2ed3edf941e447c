import math

import pytest

from breeder.core import Budget, Cost
from breeder.ledger import Ledger


class HandClock:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.wall_now = 100.0
        self.cpu_now = 7.0

    def wall(self) -> float:
        return self.wall_now

    def cpu(self) -> float:
        return self.cpu_now


def test_earlier_sittings_count() -> None:
    clock = HandClock()
    ledger = Ledger(Budget(minutes=1), clock, elapsed=30.0, engine_cpu=2.0)
    clock.wall_now += 15
    clock.cpu_now += 1
    assert ledger.elapsed() == 45.0
    assert ledger.engine_cpu() == 3.0
    left = ledger.remaining()
    assert (left.share, left.seconds, left.limit) == (0.25, 15.0, "minutes")


def test_search_cost_adds_evaluations_proposals_and_the_engine() -> None:
    clock = HandClock()
    ledger = Ledger(Budget(cpu_seconds=10), clock)
    ledger.charge("search", Cost(cpu_seconds=4))
    ledger.charge("propose", Cost(tokens=50, currency=0.5))
    ledger.charge("held_out", Cost(cpu_seconds=99))
    clock.cpu_now += 2
    assert ledger.search_cost() == Cost(6, 0, 50, 0.5)
    assert not ledger.exhausted()
    clock.cpu_now += 4
    assert ledger.exhausted() == "cpu_seconds"


@pytest.mark.parametrize(
    ("done", "reserved", "limit"), [(3, 0, ""), (3, 1, "evaluations"), (4, 0, "evaluations")]
)
def test_evaluations_under_way_count_against_the_budget(
    done: int, reserved: int, limit: str
) -> None:
    ledger = Ledger(Budget(evaluations=4), HandClock())
    ledger.evaluations = done
    assert ledger.exhausted(reserved=reserved) == limit


def test_without_limits_nothing_ends() -> None:
    ledger = Ledger(Budget(), HandClock())
    assert ledger.remaining() == (1.0, None, "") or ledger.remaining().limit == ""
    assert not ledger.exhausted()


def test_the_nearest_limit_on_time_says_what_is_left() -> None:
    clock = HandClock()
    ledger = Ledger(Budget(minutes=1, cpu_seconds=20), clock)
    ledger.charge("propose", Cost(cpu_seconds=5))
    clock.cpu_now += 1
    assert ledger.seconds_left() == 14.0
    clock.wall_now += 50
    assert ledger.seconds_left() == 10.0
    assert Ledger(Budget(evaluations=3), clock).seconds_left() == math.inf
