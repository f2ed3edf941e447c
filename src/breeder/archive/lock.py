"""The writer's lock of a run directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from breeder.errors import RunError

FILE_NAME = "run.lock"


class WriterLock:
    """Held by the one process that may write a run, from construction to `release`.

    The kernel drops the lock when its holder dies, however it dies, so a lock is never stale; the
    file itself stays and only tells others who holds it. The lock is not passed on to programs
    that the holder starts.

    Raises:
        RunError: another process holds it (its id is named), or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        try:
            descriptor = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise RunError(
                f"another process is writing {folder}, pid {holder}; wait for it or stop it"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise RunError(f"{folder}: cannot be locked: {error.strerror}") from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others write. Safe to call twice."""
        if self._descriptor is not None:
            # Explicitly, since a forked child would keep the lock through its copy.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None
