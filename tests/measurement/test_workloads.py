from collections.abc import Callable
from statistics import median

import pytest

from breeder.measurement import workloads
from breeder.measurement.workloads import BLOCKS, Kind, pair, twins


@pytest.mark.parametrize("kind", Kind)
def test_work_says_what_it_used(kind: Kind) -> None:
    for work in twins(kind):
        spent = [work() for _ in range(5)]
        assert all(0 < one.wall_seconds < 5 for one in spent)
        # About a millisecond: long for the clocks, short enough for thousands of samples.
        assert 1e-4 < median(one.cpu_seconds for one in spent) < 0.05


@pytest.mark.parametrize("slowdown", [0, 0.02, 0.05, 0.2])
def test_a_slower_twin_runs_exactly_so_many_more_blocks(
    slowdown: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def maker() -> Callable[[int], None]:
        return asked.append

    monkeypatch.setitem(workloads._MAKERS, Kind.PYTHON, maker)
    base, slower = pair(Kind.PYTHON, slowdown)
    base()
    slower()
    assert asked == [BLOCKS, BLOCKS * (1 + slowdown)]


@pytest.mark.parametrize("kind", Kind)
def test_twice_the_blocks_take_twice_the_cpu_time(kind: Kind) -> None:
    base, double = pair(kind, 1.0)
    ratios = []
    for _ in range(40):
        first, second = base(), double()
        ratios.append(second.cpu_seconds / first.cpu_seconds)
    # The interference of other processes is what the wide bounds are for.
    assert 1.6 < median(ratios) < 2.4


@pytest.mark.parametrize("slowdown", [-0.01, 0.005, 1.01])
def test_a_slowdown_that_is_no_number_of_blocks_is_refused(slowdown: float) -> None:
    with pytest.raises(ValueError, match="slowdown"):
        pair(Kind.PYTHON, slowdown)
