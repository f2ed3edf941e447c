"""How code inside the sandbox says that a load or a call failed in a way that has its own kind."""

from __future__ import annotations

from breeder.core import FailureKind


class RefusedError(Exception):
    """A load or a call failed; the worker answers with its kind and detail."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(detail)
