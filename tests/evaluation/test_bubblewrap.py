from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance.sandbox import SandboxConformance

from breeder.evaluation.bubblewrap import BubblewrapSandbox


class TestNested(SandboxConformance):
    @pytest.fixture(scope="class")
    def sandbox(self) -> Iterator[BubblewrapSandbox]:
        sandbox = BubblewrapSandbox(slot=0)
        yield sandbox
        sandbox.close()
