"""Front door of the sandboxes: opens one by name, and says whether it can run here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from breeder.evaluation.compilation import Binaries
from breeder.evaluation.sandbox import Sandbox

Kind = Literal["bubblewrap", "none"]


def open_sandbox(
    kind: Kind, *, slot: int, preload: Sequence[str] = (), binaries: Binaries | None = None
) -> Sandbox:
    """Open the sandbox of one slot; it starts warming up and is ready when first used.

    Open it in a thread that lives as long as the sandbox: the kernel ends bubblewrap with the
    thread that started it.

    Args:
        kind: `bubblewrap`, or `none` for no isolation at all.
        slot: number of the slot; two sandboxes of one process must not share it.
        preload: modules that candidates may import, imported once ahead of all of them.
        binaries: of compiled programs, shared with other sandboxes; None for this one alone.

    Raises:
        SandboxUnavailableError: there is no bubblewrap.
    """
    if kind == "none":
        from breeder.evaluation.unconfined import UnconfinedSandbox

        return UnconfinedSandbox(binaries)
    from breeder.evaluation.bubblewrap import BubblewrapSandbox

    return BubblewrapSandbox(slot, preload, binaries=binaries)


def describe(kind: Kind) -> str:
    """What a kind of sandbox gives, in words for the record."""
    if kind == "none":
        return "none: candidates run without isolation"
    return "bubblewrap: no network, own process and mount namespaces"


def require(kind: Kind) -> str:
    """Make sure that a sandbox of this kind can run here; return what it gives and how.

    Raises:
        SandboxUnavailableError: it cannot; one line that says what to install or to allow.
    """
    if kind == "none":
        return describe(kind)
    from breeder.evaluation.bubblewrap import BubblewrapSandbox

    sandbox = BubblewrapSandbox(slot=0)
    try:
        sandbox.check()
        how = "forked from a warm zygote" if sandbox.nested else "one interpreter per program"
    finally:
        sandbox.close()
    return f"{describe(kind)}, {how}"
