import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breeder.core import FailureKind
from breeder.errors import SandboxUnavailableError
from breeder.evaluation import sandboxes
from breeder.executors.executor import Executor, Job
from breeder.executors.local import LocalExecutor
from breeder.executors.process_tree import descendants, tree_cpu_seconds
from breeder.task import Task, load_native
from conformance.executor import ExecutorConformance, Running, program, write_task

try:
    sandboxes.require("bubblewrap")
except SandboxUnavailableError as error:
    UNAVAILABLE = str(error)
else:
    UNAVAILABLE = ""


@pytest.mark.skipif(bool(UNAVAILABLE), reason=UNAVAILABLE or "bubblewrap works")
class TestLocalExecutor(ExecutorConformance):
    """One suite, in the sandbox."""

    @classmethod
    def make(cls, task: Task, slots: int) -> LocalExecutor:
        return LocalExecutor(task, slots=slots, sandbox="bubblewrap")

    def test_an_endless_loop_ends_with_its_cpu_time(self, running: Running) -> None:
        found = running.evaluate(Job(program("while True:\n    pass")))
        assert found.failure is not None
        assert found.failure.kind is FailureKind.CPU_TIME
        assert 0.5 < found.cost.cpu_seconds < 10
        assert running.evaluate(Job(program())).metrics["score"] == 42.0

    def test_no_process_is_left_after_close(self, folder: Path) -> None:
        async def work(executor: Executor) -> set[int]:
            await executor.evaluate(Job(program()))
            return descendants(os.getpid())

        before = descendants(os.getpid())
        with watched(self.using(folder, work) - before) as (still_there, ended):
            assert still_there == 0 or ended()

    def test_no_process_is_left_when_the_engine_is_killed(self, folder: Path) -> None:
        os.mkfifo(folder / "started")
        os.mkfifo(folder / "never")
        engine = subprocess.Popen([sys.executable, "-c", ENGINE, str(folder)])
        try:
            (folder / "started").open("rb").close()
            with watched(descendants(engine.pid)) as (still_there, ended):
                assert still_there >= 2  # the evaluator and its sandbox at least
                engine.kill()
                assert ended()
        finally:
            engine.kill()
            engine.wait()


class TestLocalExecutorWithoutSandbox(ExecutorConformance):
    """The same suite with harmless programs and no isolation."""

    @classmethod
    def make(cls, task: Task, slots: int) -> LocalExecutor:
        return LocalExecutor(task, slots=slots, sandbox="none")

    def test_the_evaluator_gets_no_environment_but_what_the_task_declares(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SOME_API_KEY", "secret")
        monkeypatch.setenv("TRACE_FOLDER", "/data/trace")
        toml = (folder / "task.toml").read_text()
        data = 'data = { TRACE_FOLDER = "the real trace" }\n[program]'
        (folder / "task.toml").write_text(toml.replace("[program]", data))
        found = self.using(folder, lambda executor: executor.evaluate(Job(program())))
        assert found.artifacts["TRACE_FOLDER"] == "/data/trace"
        assert found.artifacts["OMP_NUM_THREADS"] == "1"
        assert "SOME_API_KEY" not in found.artifacts

    def test_a_killed_evaluator_does_not_spoil_the_next_job(self, folder: Path) -> None:
        before = descendants(os.getpid())

        async def work(executor: Executor) -> Any:
            killed = 0
            for pid in descendants(os.getpid()) - before:
                if b"breeder.evaluation.process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            assert killed == 1
            return await executor.evaluate(Job(program()))

        assert self.using(folder, work).metrics["score"] == 42.0


ENGINE = """
import asyncio, sys
from pathlib import Path
from breeder.core import Program
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.task import load_native

async def run(folder):
    task = load_native(Path(folder))
    executor = LocalExecutor(task, slots=1, sandbox="bubblewrap")
    await executor.evaluate(Job(Program("p", task.files), seed=107))

asyncio.run(run(sys.argv[1]))
"""


@contextlib.contextmanager
def watched(pids: set[int]) -> Iterator[tuple[int, Any]]:
    """Hold the processes; yields how many still ran and a function that awaits the end of all."""
    handles = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))

    def ended() -> bool:
        for handle in handles:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(20_000):
                return False
        return True

    try:
        yield len(handles), ended
    finally:
        for handle in handles:
            os.close(handle)


def test_slots_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="slots must be at least 1"):
        LocalExecutor(load_native(write_task(tmp_path / "echo")), slots=0)


def test_tree_cpu_seconds_counts_children_and_ignores_the_dead() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "for i in range(2_000_000): pass\nprint(flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert child.pid in descendants(os.getpid())
    assert 0.02 <= tree_cpu_seconds(child.pid) < 20
    child.communicate(b"\n")
    assert tree_cpu_seconds(child.pid) == 0.0
