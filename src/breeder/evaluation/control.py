"""What a sandbox and its zygote say to each other; no candidate ever holds this socket.

One message a packet (`SOCK_SEQPACKET`). `Usage` and `Kill` are answered by exactly one `Sampled`,
`Locate` by one `Company`.
A program that ends without being asked to is reported by one `Died`. Closing the socket ends the
zygote and with it, as it is process 1 of its namespace, every process in the sandbox.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from breeder.evaluation.sandbox import Limits

MAX_PACKET_BYTES = 65536

Reason = Literal["exited", "cpu", "memory", "processes", "setup"]


class Setup(msgspec.Struct, frozen=True):
    """How a zygote confines candidates; its command line, as JSON.

    Attributes:
        nested: serve one candidate after another, each with a scratch folder of its own, mounted
            by the zygote. Without it the sandbox serves a single program.
        uid: user that candidates become; None leaves the user as it is (a user namespace).
        preload: modules imported once, before any candidate.
        path: PATH of candidates.
        limit_processes: whether `RLIMIT_NPROC` counts the candidate's processes alone.
    """

    nested: bool
    uid: int | None
    preload: tuple[str, ...]
    path: str
    limit_processes: bool


class Start(msgspec.Struct, tag=True, frozen=True):
    """Start a program; carries its data socket and its output pipe as descriptors."""

    limits: Limits


class Allow(msgspec.Struct, tag=True, frozen=True):
    """The program's tree may use this much CPU time from now on."""

    cpu_seconds: float


class Usage(msgspec.Struct, tag=True, frozen=True):
    """Check the limits now and say what the program has used."""


class Kill(msgspec.Struct, tag=True, frozen=True):
    """Kill the program; answered when none of its processes is left."""


class Locate(msgspec.Struct, tag=True, frozen=True):
    """Say what else the program has made; the answer carries a pidfd of its first process."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """First message of a zygote: whether it can serve, or why not."""

    problem: str = ""
    nested: bool = False


class Sampled(msgspec.Struct, tag=True, frozen=True):
    """CPU seconds of the program's process tree."""

    cpu_seconds: float


class Died(msgspec.Struct, tag=True, frozen=True):
    """The program ended, or was killed for breaking a limit.

    Attributes:
        reason: `exited` (by itself, see `status`), the limit it broke, or `setup` (the sandbox
            failed before any of its code ran).
        status: wait status of its first process.
        detail: how much was used of what was allowed, or what failed.
        cpu_seconds: of the whole process tree.
    """

    reason: Reason
    status: int = 0
    detail: str = ""
    cpu_seconds: float = 0.0


class Company(msgspec.Struct, tag=True, frozen=True):
    """What a program has made beside its first process.

    Attributes:
        processes: how many of its processes live beside the first (threads are none).
        children_seconds: CPU time of those that have ended and were waited for by anybody; where
            the kernel counts it in ticks, in units of 10 ms.
    """

    processes: int = 0
    children_seconds: float = 0.0


Request = Start | Allow | Usage | Kill | Locate
Reply = Ready | Sampled | Died | Company

encode = msgspec.msgpack.Encoder().encode
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def decode_request(data: bytes) -> Request:
    """Decode what a sandbox sent."""
    return _requests.decode(data)


def decode_reply(data: bytes) -> Reply:
    """Decode what a zygote sent."""
    return _replies.decode(data)
