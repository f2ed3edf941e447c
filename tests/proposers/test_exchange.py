import pytest

from breeder.core import Budget, Cost
from breeder.proposers.exchange import Exchange


def after(budget: Budget, *cpu_seconds: float) -> Exchange:
    exchange = Exchange(budget)
    for seconds in cpu_seconds:
        exchange.evaluated(Cost(cpu_seconds=seconds))
    return exchange


def test_cpu_time_is_worth_the_evaluations_that_it_would_have_paid_for() -> None:
    assert after(Budget(), 0.5, 1.5).evaluations(Cost(cpu_seconds=3.0)) == 3.0
    assert after(Budget()).evaluations(Cost(cpu_seconds=3.0)) == 0.0


def test_tokens_and_money_are_worth_their_share_of_the_limit() -> None:
    limited = after(Budget(evaluations=200, tokens=10_000), 1.0)
    assert limited.evaluations(Cost(tokens=100)) == pytest.approx(2.0)
    by_time = after(Budget(cpu_seconds=50, currency=10.0), 0.5)
    assert by_time.evaluations(Cost(currency=1.0)) == pytest.approx(10.0)
    # Both limits are reached together, so only the nearer one counts.
    both = after(Budget(evaluations=100, tokens=1000, currency=1.0), 1.0)
    assert both.evaluations(Cost(tokens=10, currency=0.05)) == pytest.approx(5.0)


def test_without_a_limit_tokens_cost_nothing() -> None:
    assert after(Budget(evaluations=10), 1.0).evaluations(Cost(tokens=10**6)) == 0.0


def test_what_others_used_of_the_cpu_time_counts_towards_the_end_of_a_run() -> None:
    used = [0.0]
    exchange = Exchange(Budget(cpu_seconds=10.0), lambda: used[0])
    assert exchange.over(0) == 0.0
    exchange.evaluated(Cost(cpu_seconds=0.1))
    assert exchange.over(20) == pytest.approx(0.2)
    used[0] = 7.0
    assert exchange.over(20) == pytest.approx(0.7)
    assert Exchange(Budget(evaluations=50), lambda: 99.0).over(20) == pytest.approx(0.4)
    assert Exchange(Budget(), lambda: 99.0).over(20) == 0.0
