"""Binding this process and all that it has started to one processor core while they are timed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np

_CHILDREN = "/proc/{}/task/{}/children"


class Cores:
    """The cores that this process may use, and the programs that it has started.

    Two programs that are compared must run on the same core. Which core a process sits on is
    settled when it starts and hardly changes; cores differ in who else uses them and evicts what
    lies in their caches. With each program where the scheduler put it, the ratio of a program to
    itself went 11 % up or down from one start to the next; bound to one core, 1 % or less.
    Binding costs a few calls to the kernel; programs that are started later inherit it.

    Attributes:
        bound: whether the last `bind` reached everything.
    """

    def __init__(self) -> None:
        self._allowed = _allowed()
        self.bound = False

    def bind(self, rng: np.random.Generator) -> None:
        """Bind this process and all its descendants to a core drawn from the allowed ones.

        Where the system does not show the descendants, or does not let them be bound, nothing is
        raised: measuring goes on with more noise.
        """
        if not self._allowed:
            return
        core = int(rng.choice(sorted(self._allowed)))
        self.bound = _assign({core})

    def release(self) -> None:
        """Let everything run where it was allowed to before. Safe to call twice."""
        if self._allowed:
            _assign(self._allowed)
        self.bound = False


@contextlib.contextmanager
def bound_cores() -> Iterator[Cores]:
    """Give `Cores`, which are released in the end."""
    cores = Cores()
    try:
        yield cores
    finally:
        cores.release()


def _allowed() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _assign(cores: set[int]) -> bool:
    """Bind everything; return whether all of it could be."""
    complete = os.path.exists(_CHILDREN.format(os.getpid(), os.getpid()))
    os.sched_setaffinity(0, cores)
    for pid in _descendants(os.getpid()):
        try:
            os.sched_setaffinity(pid, cores)
        except ProcessLookupError:
            continue  # it has just ended
        except OSError:
            complete = False
    return complete


def _descendants(pid: int) -> list[int]:
    """Processes that `pid` has started and those that they have, as far as /proc shows them."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with open(_CHILDREN.format(one, task), encoding="ascii") as file:
                    waiting.extend(map(int, file.read().split()))
        if one != pid:
            found.append(one)
    return found
