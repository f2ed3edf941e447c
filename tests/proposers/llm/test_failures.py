from breeder.core import FailureKind
from breeder.proposers.llm.failures import FailureLog
from proposers.llm.made_up import outcome


def test_failures_are_named_counted_and_bounded() -> None:
    log = FailureLog()
    for _ in range(3):
        log.learn(outcome("swap", None, kind=FailureKind.COMPILE, detail="line 3:\n\x1b[1mno ;"))
    log.learn(outcome("loop", None, kind=FailureKind.CPU_TIME))
    assert log.recent() == ("compile: line 3: no ; (3 times)", "cpu-time")
    for number in range(50):
        log.learn(outcome("x" * 5000, None, detail=f"{number}" + "y" * 5000))
    assert len(log.recent()) == 8
    assert max(map(len, log.recent())) <= 160


def test_what_brought_nothing_is_remembered_by_parent() -> None:
    log = FailureLog()
    log.learn(outcome("swap two lines", 1.5))
    log.learn(outcome("same again", 2.0))
    log.learn(outcome("crash", None, kind=FailureKind.CRASH))
    log.learn(outcome("better", 2.5))
    log.learn(outcome("elsewhere", 1.0, parent="other"))
    log.learn(outcome("swap two lines", 1.5))
    assert log.tried("parent") == (
        "same again: no change",
        "crash: failed (crash)",
        "swap two lines: fitness -0.5",
    )
    assert log.tried("other") == ("elsewhere: fitness -1",)
    assert log.tried("unknown") == ()


def test_memory_is_bounded_and_survives() -> None:
    log = FailureLog()
    for parent in range(100):
        for number in range(10):
            log.learn(outcome(f"note {number}", 1.0, parent=f"p{parent}"))
    assert log.tried("p0") == ()
    assert len(log.tried("p99")) == 6
    again = FailureLog()
    again.restore(log.state())
    again.restore(b"")
    assert again.tried("p99") == log.tried("p99")
    assert again.recent() == log.recent()
    assert len(log.state()) < 20_000
