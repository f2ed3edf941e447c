import json
import os

from breeder import machine


def test_the_machine_is_described_in_what_a_record_can_hold() -> None:
    facts = machine.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {"processor", "cores", "memory_mib", "system", "python"}
    assert int(facts["memory_mib"]) > 0
    assert str(facts["system"]).startswith(os.uname().sysname)
    assert "\n" not in str(facts["processor"])


def test_cores_are_those_that_this_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert machine.cores() == len(before)
