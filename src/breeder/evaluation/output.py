"""What a program printed, read by the evaluator as it comes."""

from __future__ import annotations

import os

_CHUNK = 1 << 20


class Output:
    """What a program printed: counted, and kept in part, the head and the tail."""

    def __init__(self, pipe: int, limit: int) -> None:
        os.set_blocking(pipe, False)
        self.pipe = pipe
        self.limit = limit
        self.total = 0
        self._keep = max(min(limit, 64 * 1024) // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()

    def drain(self) -> bool:
        """Read what is there, a pipe's capacity at most; False when every writer is gone."""
        try:
            data = os.read(self.pipe, _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        self.total += len(data)
        room = self._keep - len(self._head)
        self._head += data[:room]
        self._tail = (self._tail + data[max(room, 0) :])[-self._keep :]
        return True

    @property
    def exceeded(self) -> bool:
        """Whether it printed more than it may."""
        return self.total > self.limit

    def text(self) -> str:
        """Head and tail, with a line between them that says how much is missing."""
        missing = self.total - len(self._head) - len(self._tail)
        gap = f"\n[... {missing} bytes ...]\n".encode() if missing else b""
        return bytes(self._head + gap + self._tail).decode("utf-8", "replace")
