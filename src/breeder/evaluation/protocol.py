"""What an executor and an evaluator process say to each other: MessagePack frames over a socket.

A frame is the length of its body (4 bytes, big endian) followed by the body. Both ends are ours;
no candidate ever sees this socket. The structures hold all that an evaluator process must know of
a task, so that it never loads the task file's validation and starts in milliseconds.
"""

from __future__ import annotations

import socket
from typing import Literal

import msgspec

from breeder.core import Evaluation
from breeder.evaluation.sandbox import Limits, NativeFunction

HEADER_BYTES = 4
MAX_FRAME_BYTES = 512 * 1024 * 1024

Split = Literal["search", "held_out", "confirm", "verify"]


class Threshold(msgspec.Struct, frozen=True):
    """A bound on a metric; a bound that is None does not apply."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    def broken_by(self, value: float) -> str:
        """Say how `value` breaks the bound, or return an empty string."""
        if self.at_least is not None and value < self.at_least:
            return f"{self.metric} = {value:.6g} is below {self.at_least:g}"
        if self.at_most is not None and value > self.at_most:
            return f"{self.metric} = {value:.6g} is above {self.at_most:g}"
        return ""

    def tightened(self, bound: float) -> Threshold:
        """This threshold, or `bound` where that asks for more, in the direction that it has."""
        if self.at_least is not None:
            return Threshold(self.metric, max(self.at_least, bound), self.at_most)
        if self.at_most is not None:
            return Threshold(self.metric, None, min(self.at_most, bound))
        return self


class Stage(msgspec.Struct, frozen=True):
    """One step of the cascade: a function of the evaluator, its limits and the bound to pass.

    `distinct`: who has the metrics of its parent to the last bit goes no further.
    """

    name: str
    function: str
    cpu_seconds: float
    wall_seconds: float
    threshold: Threshold | None = None
    distinct: bool = False


class ProgramPlan(msgspec.Struct, frozen=True):
    """How programs of the task are run; see `sandbox.ProgramSpec` for the fields."""

    main: str
    mode: Literal["python", "native", "command"]
    support: dict[str, str]
    functions: dict[str, NativeFunction]
    compile_command: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """All that an evaluator process knows of a task.

    Attributes:
        folder: absolute path of the task folder.
        evaluator: the evaluator's file in it.
        kind: whose task format it is; foreign evaluators run inside the sandbox.
        held_out, confirm, verify: the one stage of each split that is no search; None where the
            task has none.
        verify_construction: the function that computes metrics from a construction alone.
        objectives: metrics that every successful search evaluation must report.
    """

    folder: str
    evaluator: str
    kind: Literal["breeder", "openevolve", "shinka"]
    program: ProgramPlan
    stages: tuple[Stage, ...]
    held_out: Stage | None
    constraints: tuple[Threshold, ...]
    objectives: tuple[str, ...]
    limits: Limits
    confirm: Stage | None = None
    verify: Stage | None = None
    verify_construction: str | None = None


class Start(msgspec.Struct, tag=True, frozen=True):
    """First message to an evaluator process: load the evaluator, open the sandbox."""

    plan: Plan
    sandbox: Literal["bubblewrap", "none"]
    slot: int


class Evaluate(msgspec.Struct, tag=True, frozen=True):
    """Evaluate a program. `initial` makes faults of the evaluator errors, not failures.

    `to_beat` is what `Candidate.to_beat` says; `bounds` tightens the thresholds of stages by name;
    `parent` are the metrics of the program's parent, for stages that ask for a difference.
    """

    files: dict[str, str]
    split: Split
    construction: bytes | None
    seed: int
    initial: bool
    to_beat: float | None = None
    bounds: dict[str, float] = {}
    parent: dict[str, float] = {}


class Baselines(msgspec.Struct, tag=True, frozen=True):
    """Run the evaluator's own baselines on a split."""

    split: Split


class CheckConstruction(msgspec.Struct, tag=True, frozen=True):
    """Compute the metrics of a construction (MessagePack bytes) from nothing but itself."""

    construction: bytes


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The evaluator is loaded and the sandbox is open."""


class Evaluated(msgspec.Struct, tag=True, frozen=True):
    """The answer to `Evaluate`."""

    evaluation: Evaluation


class BaselineMetrics(msgspec.Struct, tag=True, frozen=True):
    """The answer to `Baselines`: name -> metrics."""

    baselines: dict[str, dict[str, float]]


class ConstructionMetrics(msgspec.Struct, tag=True, frozen=True):
    """The answer to `CheckConstruction`: the metrics, or why it is refused."""

    metrics: dict[str, float]
    refusal: str = ""


class Refused(msgspec.Struct, tag=True, frozen=True):
    """The answer to any request when the evaluator or the sandbox is at fault: one line."""

    kind: Literal["evaluator", "sandbox"]
    message: str


Request = Start | Evaluate | Baselines | CheckConstruction
Reply = Ready | Evaluated | BaselineMetrics | ConstructionMetrics | Refused

_encoder = msgspec.msgpack.Encoder()
_request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def frame(message: Request | Reply) -> bytes:
    """Return a message as a frame.

    Raises:
        ValueError: it is larger than `MAX_FRAME_BYTES`.
    """
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a message of {len(body)} bytes is larger than {MAX_FRAME_BYTES}")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def read_reply(body: bytes) -> Reply:
    """Decode the body of a frame that an evaluator process sent."""
    return _reply_decoder.decode(body)


def receive_request(connection: socket.socket) -> Request | None:
    """Read the next request from a blocking socket; None when the other end is gone."""
    header = _receive(connection, HEADER_BYTES)
    if header is None:
        return None
    body = _receive(connection, int.from_bytes(header, "big"))
    return None if body is None else _request_decoder.decode(body)


def _receive(connection: socket.socket, size: int) -> bytes | None:
    buffer = bytearray()
    while len(buffer) < size:
        try:
            chunk = connection.recv(min(size - len(buffer), 1 << 20))
        except ConnectionError:
            return None
        if not chunk:
            return None
        buffer += chunk
    return bytes(buffer)
