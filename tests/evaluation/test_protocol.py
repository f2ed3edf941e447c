import socket

import pytest

from breeder.core import Cost, Evaluation, Failure, FailureKind
from breeder.evaluation import protocol
from breeder.evaluation.protocol import Evaluate, Evaluated, Threshold


def test_requests_pass_a_socket_unchanged() -> None:
    ours, theirs = socket.socketpair()
    request = Evaluate({"a.py": "größe = 1\n" * 9}, "held_out", b"\x01", 3, initial=True)
    with ours, theirs:
        ours.sendall(protocol.frame(request))
        assert protocol.receive_request(theirs) == request


@pytest.mark.parametrize("sent", [b"", b"\x00\x00", b"\x00\x00\x00\x09half"])
def test_a_closed_socket_reads_as_none(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(sent)
        ours.close()
        assert protocol.receive_request(theirs) is None


def test_evaluations_come_back_equal() -> None:
    evaluation = Evaluation(
        metrics={"a": 1.5},
        failure=Failure(FailureKind.CPU_TIME, "too slow", "full"),
        cost=Cost(1.0, 2.0),
        artifacts={"output": "x"},
        construction=b"\x00",
        trusted=False,
        seed=4,
    )
    body = protocol.frame(Evaluated(evaluation))[protocol.HEADER_BYTES :]
    reply = protocol.read_reply(body)
    assert isinstance(reply, Evaluated)
    assert reply.evaluation == evaluation


def test_a_message_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_FRAME_BYTES", 10)
    with pytest.raises(ValueError, match="is larger than 10"):
        protocol.frame(Evaluate({"a.py": "x" * 20}, "search", None, 0, initial=False))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "m = 0.5 is below 1"), (2.5, "m = 2.5 is above 2"), (1.0, ""), (2.0, "")],
)
def test_a_threshold_says_how_it_is_broken(value: float, text: str) -> None:
    assert Threshold("m", 1.0, 2.0).broken_by(value) == text
