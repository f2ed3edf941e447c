"""Memory that the evaluator shares with a candidate, and that cannot be used against it.

The evaluator never maps it: it writes and reads by system calls, which answer with zeros where the
candidate has made holes and cannot fault. Whatever the candidate does to its own mapping (protect
pages, map others over them, handle faults) therefore has no say in what the evaluator reads.
"""

from __future__ import annotations

import fcntl
import os
from typing import Any

import numpy as np

from breeder.errors import SandboxUnavailableError
from breeder.evaluation import syscalls

_SEALS = ("F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_SEAL")


class MemoryFile:
    """A file without a name, of a size that nobody can change, whose pages exist once written.

    One for the life of a program, not one for each batch: what a candidate keeps of an earlier file
    could be filled again, where no limit would see it.

    Args:
        size: in bytes; bounds what it can ever take.

    Raises:
        SandboxUnavailableError: this system has no such files.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._descriptor = -1
        try:
            self._descriptor = os.memfd_create("batch", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.fchmod(self._descriptor, 0o600)
            os.ftruncate(self._descriptor, size)
            seals = sum(getattr(fcntl, name) for name in _SEALS)
            fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, seals)
        except (AttributeError, OSError) as error:
            self.close()
            text = f"memory cannot be shared with a candidate: {error}"
            raise SandboxUnavailableError(text) from None

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    def renew(self, size: int) -> None:
        """Drop every page, and have fresh ones for the first `size` bytes, which are zero.

        Which physical pages a program gets changes its speed; fresh ones for every batch make that
        noise instead of bias.

        Raises:
            SandboxUnavailableError: memory has run out.
        """
        try:
            syscalls.punch_hole(self._descriptor, 0, self.size)
        except OSError as error:
            raise _no_memory(error) from None
        # Here and not at the first touch: a virtual machine may take its time to find a page.
        self.write(np.zeros(size, np.uint8))

    def write(self, content: np.ndarray[Any, Any]) -> None:
        """Write `content` (uint8) at the beginning.

        Raises:
            SandboxUnavailableError: memory has run out.
        """
        rest, position = content.data, 0
        try:
            while position < len(rest):
                position += os.pwrite(self._descriptor, rest[position:], position)
        except OSError as error:
            raise _no_memory(error) from None

    def read(
        self, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> np.ndarray[Any, Any]:
        """Return a copy of the array that lies at `offset`."""
        array = np.empty(shape, dtype)
        rest = array.reshape(-1).view(np.uint8).data
        while rest:
            count = os.preadv(self._descriptor, [rest], offset)
            offset, rest = offset + count, rest[count:]
        return array

    def close(self) -> None:
        """Let go of it. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _no_memory(error: OSError) -> SandboxUnavailableError:
    text = f"there is no memory for a candidate's arguments: {error.strerror}"
    return SandboxUnavailableError(text)
