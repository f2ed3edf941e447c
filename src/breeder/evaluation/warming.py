"""Runs the worker's own steps in the zygote, so that candidates find them done.

A fork shares its parent's memory until either writes to it; then a page is copied. The first runs
of a function write a lot: the interpreter specialises its bytecode and fills its caches, the linker
looks symbols up. Done once ahead of all forks, candidates inherit the outcome.
"""

from __future__ import annotations

import socket
import sys

from breeder.evaluation import wire
from breeder.evaluation.worker import Worker

_ROUNDS = 12  # the interpreter specialises a function after 8 calls
_NAME = "_breeder_warm_up"
_SOURCE = b"""import numpy as np

def f(values):
    return np.asarray(values) * 2
"""


def warm_up(scratch: str) -> None:
    """Load and call a program of our own some times; takes some 20 ms.

    Args:
        scratch: an empty writable folder; one file is left in it.
    """
    spec = {
        "files": {f"{_NAME}.py": _SOURCE}, "main": f"{_NAME}.py", "mode": "python", "seed": 0,
        "command": [], "functions": {}, "max_answer_bytes": 0,
    }  # fmt: skip
    path = list(sys.path)
    for _ in range(_ROUNDS):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            worker = Worker(theirs, scratch)
            _exchange(ours, worker, ["load", "", [spec]])
            _exchange(ours, worker, ["call", "f", [[1.0, 2.0]]])
            _exchange(ours, worker, ["prepare", "f", [wire.encode([[[1.0, 2.0]]])]])
            ours.sendall(_frame(["arm", "", []]) + bytes(wire.TICKET_BYTES))
            worker.answer()
            ours.recv(4096)
            _exchange(ours, worker, ["output", "", [0]])
        del sys.modules[_NAME]
        sys.path[:] = path


def _exchange(channel: socket.socket, worker: Worker, request: list[object]) -> None:
    channel.sendall(_frame(request))
    worker.answer()
    channel.recv(4096)


def _frame(request: list[object]) -> bytes:
    return wire.frame(wire.encode([1 << 61, *request]))
