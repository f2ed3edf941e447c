"""Binding to one core: everything started is bound, and let go afterwards."""

import os
import subprocess
import sys

import numpy as np
import pytest

from breeder.kernels import Effort, Inputs, Trial
from breeder.kernels.cores import bound_cores
from kernels.scaling import KERNEL, Clocked

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system does not bind processes to cores"
)

# A process that starts another, says who that is, and lives until its input ends.
PARENT = """
import subprocess, sys
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
child.communicate()
"""


@pytest.fixture
def family():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        grandchild = int(parent.stdout.readline())
        yield 0, parent.pid, grandchild
        parent.stdin.close()


def cores_of(family):
    return [os.sched_getaffinity(pid) for pid in family]


def test_all_descendants_share_one_core_until_they_are_let_go(family):
    before = cores_of(family)
    with bound_cores() as cores:
        assert cores_of(family) == before
        cores.bind(np.random.default_rng(1))
        assert cores.bound
        one, *others = cores_of(family)
        assert len(one) == 1
        assert one <= before[0]
        assert others == [one, one]
    assert cores_of(family) == before


def test_they_are_let_go_after_an_error(family):
    before = cores_of(family)

    def fail():
        with bound_cores() as cores:
            cores.bind(np.random.default_rng(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert cores_of(family) == before


@pytest.mark.skipif(
    hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) < 2, reason="only one core"
)
def test_every_core_is_drawn():
    rng, seen = np.random.default_rng(2), set()
    with bound_cores() as cores:
        for _ in range(100):
            cores.bind(rng)
            seen |= os.sched_getaffinity(0)
    assert seen == os.sched_getaffinity(0)


@pytest.mark.parametrize("clock", ["cpu", "wall"])
def test_only_comparisons_by_cpu_time_are_bound(clock):
    before, seen = os.sched_getaffinity(0), []

    class Watching(Clocked):
        def prepare(self, function, calls):
            seen.append(len(os.sched_getaffinity(0)))
            return super().prepare(function, calls)

    result = Trial(Watching(), Watching(), KERNEL, Inputs(1)).compare(
        [8], Effort(rounds=3, least=3, clock=clock)
    )
    # The untimed pair of a launch comes before the binding: by then every process is there.
    assert set(seen[2:]) == ({1} if clock == "cpu" else {len(before)})
    assert os.sched_getaffinity(0) == before
    assert "bound" not in result.overall.note
