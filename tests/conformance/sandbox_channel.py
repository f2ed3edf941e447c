"""What every isolating sandbox makes of a program that tampers with the channel of its answers."""

from __future__ import annotations

import pytest

from breeder.core import FailureKind
from breeder.evaluation.sandbox import Sandbox
from conformance.sandbox import call, fail, run, start
from conformance.sandbox_isolation import PRELUDE


class ChannelConformance:
    """Subclass it and provide the fixture `sandbox`, as for `SandboxConformance`."""

    def test_no_descriptor_is_inherited(self, sandbox: Sandbox) -> None:
        source = PRELUDE + "def f(): return [n for n in range(4096) if not refused(os.fstat, n)]"
        assert run(sandbox, source) == [0, 1, 2, 3]

    def test_answers_written_in_advance_are_no_answers(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "from breeder.evaluation import wire\n"
            "def f():\n    for ticket in range(100):\n"
            "        os.write(CHANNEL, wire.frame(wire.encode([ticket, 'ok', 999])))\n    return 1"
        )
        assert fail(sandbox, source).kind is FailureKind.PROTOCOL

    def test_a_forged_failure_kind_is_no_answer(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "from breeder.evaluation import wire, worker\n"
            "honest = wire.encode\n"
            "wire.encode = lambda answer: honest([answer[0], 'threshold', 'passed'])\n"
            "def f(): return 1"
        )
        assert fail(sandbox, source).kind is FailureKind.PROTOCOL

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ("b'\\x05' + bytes(7) + b'\\xc1abcd'", FailureKind.PROTOCOL),
            ("bytes(8)", FailureKind.PROTOCOL),
            ("b'\\xff' * 64", FailureKind.OUTPUT),
            ("struct.pack('<Q', 3 << 20) + b'\\x91' * (3 << 20)", FailureKind.PROTOCOL),
            ("struct.pack('<Q', 5) + b'\\xdd\\xff\\xff\\xff\\xff'", FailureKind.PROTOCOL),
            (
                "struct.pack('<Q', 9) + b'\\x93\\x01\\xa2ok\\xc7\\x01\\x01\\x00'",
                FailureKind.PROTOCOL,
            ),
        ],
        ids=["malformed", "empty", "gigantic", "deep", "truncated", "damaged-array"],
    )
    def test_garbage_on_the_channel_is_a_failure(
        self, sandbox: Sandbox, body: str, kind: FailureKind
    ) -> None:
        source = PRELUDE + f"def f():\n    os.write(CHANNEL, {body})\n    time.sleep(1000)"
        assert fail(sandbox, source).kind is kind

    def test_half_an_answer_runs_into_the_wall_time(self, sandbox: Sandbox) -> None:
        source = PRELUDE + "def f():\n    os.write(CHANNEL, b'\\x08')\n    time.sleep(1000)"
        assert fail(sandbox, source, wall=0.3).kind is FailureKind.WALL_TIME

    def test_closing_all_descriptors_breaks_the_protocol(self, sandbox: Sandbox) -> None:
        source = "import os\ndef f():\n    os.closerange(0, 64)\n    return 1"
        assert fail(sandbox, source).kind is FailureKind.PROTOCOL

    def test_shutting_the_channel_breaks_the_protocol(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    socket.socket(fileno=CHANNEL).shutdown(2)\n    time.sleep(1000)"
        )
        assert fail(sandbox, source).kind is FailureKind.PROTOCOL

    def test_a_fork_that_returns_does_not_answer(self, sandbox: Sandbox) -> None:
        program = start(sandbox, "import os\ndef f():\n    os.fork()\n    return 1")
        assert [call(program) for _ in range(2)] == [1, 1]
        program.close()
