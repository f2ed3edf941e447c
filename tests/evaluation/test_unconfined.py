from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from breeder.evaluation.unconfined import UnconfinedSandbox, remove_abandoned
from conformance.sandbox import ECHO, SandboxConformance, start
from conformance.sandbox_clock import ClockConformance
from conformance.sandbox_memory import MemoryConformance


@pytest.mark.slow
class TestUnconfined(SandboxConformance, ClockConformance, MemoryConformance):
    @pytest.fixture(autouse=True)
    def _serves_afterwards(self) -> None:
        """Nothing is shared from program to program here that could be damaged."""

    @pytest.fixture
    def sandbox(self) -> Iterator[UnconfinedSandbox]:
        sandbox = UnconfinedSandbox()
        yield sandbox
        sandbox.close()


def test_its_temporary_folder_is_removed() -> None:
    sandbox = UnconfinedSandbox()
    program = start(sandbox, "import os\ndef f(): return os.getcwd()")
    folder = Path(program.call("f", cpu_seconds=5, wall_seconds=60))
    assert folder.is_dir()
    program.close()
    assert not folder.exists()


def test_children_in_its_session_are_killed() -> None:
    source = (
        "import os, time\ndef f():\n    child = os.fork()\n    if child == 0: time.sleep(1000)\n"
        "    return child"
    )
    sandbox = UnconfinedSandbox()
    program = start(sandbox, source)
    child = program.call("f", cpu_seconds=5, wall_seconds=60)
    assert Path(f"/proc/{child}").exists()
    program.close()
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    start(sandbox, ECHO).close()


def test_folders_of_killed_evaluators_are_removed_and_those_in_use_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = ("breeder-candidate-left", "breeder-candidate-new", "something-else")
    left, new, other = (tmp_path / name for name in names)
    for folder in (left, new, other):
        folder.mkdir()
        (folder / "file").touch()
    sandbox = UnconfinedSandbox()
    program = start(sandbox, "import os\ndef f(): return os.getcwd()")
    used = Path(program.call("f", cpu_seconds=5, wall_seconds=60))
    for folder in (left, other, used):
        os.utime(folder, (0, 0))
    remove_abandoned()
    assert sorted(tmp_path.iterdir()) == sorted([new, other, used])
    program.close()
    assert not used.exists()
