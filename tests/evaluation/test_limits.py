from __future__ import annotations

import signal

import pytest

from breeder.core import FailureKind
from breeder.evaluation.limits import CHANNEL_LOST_STATUS, failure_of_status


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (int(signal.SIGSEGV), FailureKind.CRASH, "SIGSEGV"),
        (int(signal.SIGXCPU), FailureKind.CPU_TIME, "SIGXCPU"),
        (int(signal.SIGXFSZ), FailureKind.DISK, "SIGXFSZ"),
        (40, FailureKind.CRASH, "signal 40"),
        (3 << 8, FailureKind.EXIT, "status 3"),
        (CHANNEL_LOST_STATUS << 8, FailureKind.PROTOCOL, "channel"),
    ],
)
def test_a_wait_status_has_a_kind(status: int, kind: FailureKind, words: str) -> None:
    failure = failure_of_status(status, "")
    assert failure.kind is kind
    assert words in failure.detail


def test_the_end_of_the_output_explains_an_exit() -> None:
    detail = failure_of_status(1 << 8, "x" * 5000 + "the reason\n").detail
    assert detail.endswith("the reason")
    assert len(detail) < 600
