from __future__ import annotations

import pytest

from breeder.errors import SandboxUnavailableError
from breeder.evaluation import confinement, sandboxes
from breeder.evaluation.bubblewrap import BubblewrapSandbox
from breeder.evaluation.sandboxes import Kind
from breeder.evaluation.unconfined import UnconfinedSandbox
from conformance.sandbox import ECHO, run


@pytest.mark.parametrize(
    ("kind", "implementation"), [("bubblewrap", BubblewrapSandbox), ("none", UnconfinedSandbox)]
)
def test_a_sandbox_is_opened_by_name(kind: Kind, implementation: type) -> None:
    sandbox = sandboxes.open_sandbox(kind, slot=0)
    try:
        assert isinstance(sandbox, implementation)
        assert run(sandbox, ECHO, 5) == 5
    finally:
        sandbox.close()


def test_require_describes_the_sandbox() -> None:
    assert sandboxes.require("bubblewrap").startswith("bubblewrap: ")
    assert "without isolation" in sandboxes.require("none")


def test_require_refuses_where_there_is_no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise SandboxUnavailableError("there is no bubblewrap")

    monkeypatch.setattr(confinement, "bubblewrap", missing)
    with pytest.raises(SandboxUnavailableError):
        sandboxes.require("bubblewrap")


def test_every_slot_has_a_user_of_its_own() -> None:
    users = {confinement.setup_for(slot, (), nested=True, user=False).uid for slot in range(8)}
    assert len(users) == 8
    assert min(uid for uid in users if uid is not None) >= 0x70000000
