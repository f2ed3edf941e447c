"""What every executor must do. A subclass says how to build one: override `make`."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from breeder.core import Evaluation, FailureKind, Program
from breeder.errors import EvaluatorError
from breeder.evaluation import wire
from breeder.executors.executor import Executor, Job
from breeder.task import Task, load_native

TASK_TOML = """
[task]
name = "echo"
goal = "Answer numbers."
[program]
files = ["program.py"]
[[objective]]
name = "score"
direction = "maximize"
[[constraint]]
metric = "score"
at_most = 1000
[[stage]]
name = "quick"
function = "evaluate_quick"
metric = "quick"
at_least = 0
[[stage]]
name = "full"
[held_out]
[limits]
cpu_seconds = 1.0
wall_seconds = 20.0
memory_mib = 512
[construction]
"""

PROGRAM = """
# EVOLVE-BLOCK-START
def answer(x):
    return x + 1
# EVOLVE-BLOCK-END
"""

EVALUATE = """
import os, sys
from pathlib import Path
from breeder.evaluation import InvalidAnswerError, Result

HERE = Path(__file__).parent

def evaluate_quick(candidate):
    return {"quick": candidate.call("answer", -1)}

def evaluate(candidate):
    value = candidate.call("answer", 41)
    if isinstance(value, str):
        raise InvalidAnswerError("a text is no answer")
    if candidate.seed >= 100:
        return FAULTS[candidate.seed](value)
    return Result(
        {"score": value, "seed": candidate.seed},
        artifacts={"carried": repr(candidate.construction), **os.environ},
        construction={"best": value},
    )

def evaluate_held_out(candidate):
    return {"score": candidate.call("answer", 99)}

def baselines(split):
    return {"plain": {"score": {"search": 1.0, "held_out": 2.0}[split]}}

def raises(value):
    raise KeyError("speed")

def prints(value):
    print("x" * 3_000_000)
    print("y" * 3_000_000, file=sys.stderr)
    return {"score": value}

def meets_the_other(mode):
    # Opening one end of a named pipe waits for the other end.
    open(HERE / "meeting", mode).close()
    return {"score": 1}

def waits(value):
    open(HERE / "started", "w").close()
    open(HERE / "never", "w").close()

def dies_once(value):
    mark = HERE / "died"
    if not mark.exists():
        mark.touch()
        os._exit(7)
    return {"score": value}

def dies(value):
    print("last words", flush=True)
    os._exit(7)

FAULTS = {
    100: raises,
    101: lambda value: None,
    102: lambda value: {"points": 1},
    103: lambda value: {"score": True},
    104: prints,
    105: lambda value: meets_the_other("r"),
    106: lambda value: meets_the_other("w"),
    107: waits,
    108: dies_once,
    109: dies,
}
"""


def program(body: str = "return x + 1", *, initial: bool = False) -> Program:
    """A program whose `answer(x)` has this body; a child of something unless `initial`."""
    lines = "\n".join("    " + line for line in body.splitlines())
    text = f"# EVOLVE-BLOCK-START\ndef answer(x):\n{lines}\n# EVOLVE-BLOCK-END\n"
    parents = () if initial else ("parent",)
    return Program(id="p", files={"program.py": text}, parents=parents)


def write_task(folder: Path) -> Path:
    """Write the task that the checks evaluate; returns the folder."""
    folder.mkdir()
    (folder / "task.toml").write_text(TASK_TOML)
    (folder / "program.py").write_text(PROGRAM)
    (folder / "evaluate.py").write_text(EVALUATE)
    return folder


class Running:
    """An executor that is started, with the event loop that it lives in."""

    def __init__(self, executor: Executor, folder: Path, runner: asyncio.Runner) -> None:
        self.executor = executor
        self.folder = folder
        self._runner = runner

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the executor's event loop."""
        return self._runner.run(work)

    def evaluate(self, job: Job) -> Evaluation:
        """Run one job."""
        found: Evaluation = self.do(self.executor.evaluate(job))
        return found


class ExecutorConformance:
    """Checks of the contract in `breeder.executors.executor`."""

    @classmethod
    def make(cls, task: Task, slots: int) -> Executor:
        """Build the executor under test."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def running(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
        """One executor of two slots that most checks share, as evaluations share it in a run."""
        folder = write_task(tmp_path_factory.mktemp("executor") / "echo")
        with asyncio.Runner() as runner:
            executor = cls.make(load_native(folder), 2)
            runner.run(executor.start())
            yield Running(executor, folder, runner)
            runner.run(executor.close())

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A task folder of its own that a check may edit before it loads it."""
        return write_task(tmp_path / "echo")

    def using(self, folder: Path, work: Callable[[Executor], Coroutine[Any, Any, Any]]) -> Any:
        """Start an executor on a folder, await `work(executor)`, close it."""

        async def session() -> Any:
            executor = self.make(load_native(folder), 1)
            try:
                await executor.start()
                return await work(executor)
            finally:
                await executor.close()

        return asyncio.run(session())

    def test_runs_the_cascade_and_reports_metrics_and_cost(self, running: Running) -> None:
        found = running.evaluate(Job(program(initial=True), seed=5))
        assert found.failure is None
        assert found.metrics == {"quick": 0.0, "score": 42.0, "seed": 5.0}
        assert (found.stage, found.stages_run, found.seed) == ("full", 2, 5)
        assert found.trusted
        assert 0 < found.cost.cpu_seconds < 10
        assert 0 < found.cost.wall_seconds < 60

    def test_held_out_runs_its_function_alone(self, running: Running) -> None:
        found = running.evaluate(Job(program(), split="held_out"))
        assert found.metrics == {"score": 100.0}
        assert found.stages_run == 1

    def test_baselines_of_both_splits(self, running: Running) -> None:
        search = running.do(running.executor.baselines("search"))
        held_out = running.do(running.executor.baselines("held_out"))
        assert search == {"plain": {"score": 1.0}}
        assert held_out == {"plain": {"score": 2.0}}

    def test_constructions_travel_both_ways(self, running: Running) -> None:
        packed = wire.encode({"x": [1.0, 2.0]})
        found = running.evaluate(Job(program(), construction=packed))
        assert found.artifacts["carried"] == "{'x': [1.0, 2.0]}"
        assert found.construction is not None
        assert wire.decode(found.construction) == {"best": 42}

    @pytest.mark.parametrize(
        ("body", "kind", "stage"),
        [
            ("return x +", FailureKind.SYNTAX, "quick"),
            ("raise ValueError('no')", FailureKind.EXCEPTION, "quick"),
            ("return -1.0", FailureKind.THRESHOLD, "quick"),
            ("return float('nan')", FailureKind.NON_FINITE, "quick"),
            ("return 'text' if x > 0 else 0", FailureKind.INVALID, "full"),
            ("return 1001 if x > 0 else 0", FailureKind.CONSTRAINT, "full"),
        ],
    )
    def test_the_candidates_faults_are_failures(
        self, running: Running, body: str, kind: FailureKind, stage: str
    ) -> None:
        found = running.evaluate(Job(program(body)))
        assert found.failure is not None
        assert (found.failure.kind, found.failure.stage) == (kind, stage)
        assert found.construction is None
        assert running.evaluate(Job(program())).metrics["score"] == 42.0

    def test_a_source_that_is_no_text_is_a_failure(self, running: Running) -> None:
        found = running.evaluate(Job(program("return '\udcff'")))
        assert found.failure is not None
        assert found.failure.kind is FailureKind.SYNTAX

    def test_what_the_candidate_prints_becomes_an_artifact(self, running: Running) -> None:
        found = running.evaluate(Job(program("print('I got', x)\nreturn x + 1")))
        assert "I got 41" in found.artifacts["output"]

    def test_equal_jobs_give_equal_metrics(self, running: Running) -> None:
        job = Job(program("import random\nreturn random.random()"), seed=9)
        first, second = running.evaluate(job), running.evaluate(job)
        other = running.evaluate(Job(job.program, seed=10))
        assert first.metrics == second.metrics
        assert first.metrics["score"] != other.metrics["score"]

    def test_slots_run_side_by_side(self, running: Running) -> None:
        # Each of the two jobs can end only while the other one is under way.
        os.mkfifo(running.folder / "meeting")

        async def both() -> list[Evaluation]:
            jobs = [running.executor.evaluate(Job(program(), seed=seed)) for seed in (105, 106)]
            return await asyncio.gather(*jobs)

        assert [found.failure for found in running.do(both())] == [None, None]

    def test_a_cancelled_evaluation_leaves_the_slot_usable(self, running: Running) -> None:
        os.mkfifo(running.folder / "started")
        os.mkfifo(running.folder / "never")

        async def cancel() -> None:
            under_way = asyncio.create_task(running.executor.evaluate(Job(program(), seed=107)))
            # Opening this end waits until the evaluator has opened the other one.
            await asyncio.to_thread(lambda: (running.folder / "started").open("rb").close())
            under_way.cancel()
            with pytest.raises(asyncio.CancelledError):
                await under_way

        running.do(cancel())
        for _ in range(running.executor.slots):
            assert running.evaluate(Job(program())).metrics["score"] == 42.0

    @pytest.mark.parametrize(
        ("seed", "line"),
        [
            (100, "in raises: KeyError: 'speed'"),
            (101, "evaluate returned nothing"),
            (102, "the metric 'score' of an objective is missing"),
            (103, "score = True, which is not a number"),
        ],
    )
    def test_faults_of_the_evaluator(self, running: Running, seed: int, line: str) -> None:
        later = running.evaluate(Job(program(), seed=seed))
        assert later.failure is not None
        assert later.failure.kind is FailureKind.EVALUATOR
        assert line in later.failure.detail
        with pytest.raises(EvaluatorError) as caught:
            running.evaluate(Job(program(initial=True), seed=seed))
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_what_the_evaluator_prints_disturbs_nothing(self, running: Running) -> None:
        assert running.evaluate(Job(program(), seed=104)).metrics["score"] == 42.0

    def test_a_lost_evaluator_is_replaced_and_the_job_repeated(self, running: Running) -> None:
        assert running.evaluate(Job(program(), seed=108)).failure is None
        assert (running.folder / "died").exists()

    def test_an_evaluator_that_is_lost_twice_is_an_error(self, running: Running) -> None:
        with pytest.raises(EvaluatorError, match=r"died twice on one job: last words"):
            running.evaluate(Job(program(), seed=109))
        assert running.evaluate(Job(program())).metrics["score"] == 42.0

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("import no_such_module\n", "evaluate.py: line 1: ModuleNotFoundError"),
            ("x = 1\nraise SystemExit(3)\n", "evaluate.py: line 2: SystemExit: 3"),
            ("def evaluate(:\n", "evaluate.py: line 1: SyntaxError"),
            ("def evaluate(c): pass\n", "evaluate.py: has no function 'evaluate_quick'"),
        ],
    )
    def test_an_evaluator_that_cannot_be_loaded_is_an_error(
        self, folder: Path, text: str, line: str
    ) -> None:
        (folder / "evaluate.py").write_text(text)
        with pytest.raises(EvaluatorError) as caught:
            self.using(folder, lambda executor: executor.baselines("search"))
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_an_evaluator_that_hangs_is_stopped(self, folder: Path) -> None:
        toml = TASK_TOML.replace("wall_seconds = 20.0", "wall_seconds = 0.1")
        toml = toml.replace("[construction]", "evaluator_seconds = 0.5\ncompile_seconds = 0.1")
        (folder / "task.toml").write_text(toml)
        text = "import threading\ndef evaluate_quick(c):\n    threading.Event().wait()\n"
        (folder / "evaluate.py").write_text(EVALUATE + text)

        async def work(executor: Executor) -> Evaluation:
            with pytest.raises(EvaluatorError, match="did not answer within"):
                await executor.evaluate(Job(program(initial=True)))
            return await executor.evaluate(Job(program()))

        found = self.using(folder, work)
        assert found.failure.kind is FailureKind.EVALUATOR
        assert "did not answer within" in found.failure.detail

    def test_an_own_session_from_start_to_close(self, folder: Path) -> None:
        (folder / "neighbour.py").write_text("VALUE = 1\n")
        text = EVALUATE.replace("def baselines", "def other_baselines")
        (folder / "evaluate.py").write_text("import neighbour\n" + text)
        before = sorted(path.name for path in folder.rglob("*"))
        threads = threading.active_count()

        async def work(executor: Executor) -> None:
            assert await executor.baselines("search") == {}
            await executor.evaluate(Job(program()))
            await executor.close()
            with pytest.raises(EvaluatorError, match="closed"):
                await executor.evaluate(Job(program()))

        self.using(folder, work)
        assert sorted(path.name for path in folder.rglob("*")) == before
        assert threading.active_count() <= threads
