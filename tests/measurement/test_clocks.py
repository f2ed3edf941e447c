import gc

import pytest

from breeder.errors import ConfigError
from breeder.measurement import clocks, processor_share, timed, timed_pair


def test_repetitions_are_doubled_until_a_batch_is_long_enough() -> None:
    calls = 0

    def function() -> None:
        nonlocal calls
        calls += 1

    work = timed(function)
    batch, previous = 0, -1
    while batch != previous:  # the first runs may be slow, and more doubling come later
        before, previous = calls, batch
        spent = work()
        batch = calls - before
    assert batch > 1
    assert batch & (batch - 1) == 0
    assert batch * spent.cpu_seconds >= 0.999e-3 or batch * spent.wall_seconds >= 0.0499
    assert 0.0 < spent.cpu_seconds < 1e-4


def test_work_that_only_waits_is_not_repeated_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "LONGEST_WAIT", 0.0)
    calls: list[None] = []
    timed(lambda: calls.append(None), repetitions=4)()
    assert len(calls) == 4


def test_a_pair_does_equally_many_calls_though_one_is_shorter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = [0, 0]

    def short() -> None:
        counts[0] += 1

    def long() -> None:
        counts[1] += 1
        sum(range(50))

    first, second = timed_pair(short, long)
    first()
    monkeypatch.setattr(clocks, "SHORTEST_BATCH", 0.0)  # no more doubling
    counts[:] = 0, 0
    second()
    first()
    assert counts[0] == counts[1] > 1


def test_work_that_is_long_enough_runs_as_asked() -> None:
    calls = 0

    def function() -> int:
        nonlocal calls
        calls += 1
        return sum(range(200_000))

    spent = timed(function, repetitions=3)()
    assert calls == 3
    assert spent.cpu_seconds > 0.0


def test_the_collector_rests_and_comes_back_even_after_an_error() -> None:
    seen: list[bool] = []

    def function() -> None:
        seen.append(gc.isenabled())
        raise RuntimeError("no")

    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="no"):
        timed(function)()
    assert seen == [False]
    assert gc.isenabled()


def test_no_repetitions_are_refused() -> None:
    with pytest.raises(ConfigError, match="repetitions: 0"):
        timed(lambda: None, repetitions=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_share_of_the_processor_is_a_share(threads: int) -> None:
    assert 0.0 < processor_share(threads) <= 1.05
