import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.evaluation.scripted_sandbox import ScriptedSandbox

from breeder.core import Limits
from breeder.errors import EvaluatorError
from breeder.evaluation.process import Evaluator
from breeder.evaluation.protocol import Evaluate, Plan, ProgramPlan, Stage


@pytest.fixture(autouse=True)
def _own_interpreter_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Loading an evaluator changes the interpreter for good, as it may in a process of its own.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    yield
    sys.modules.pop("evaluate", None)


def evaluator(folder: Path, text: str, *, held_out: bool = True, cost: float = 0.5) -> Evaluator:
    (folder / "evaluate.py").write_text(text)
    stage = Stage("full", "evaluate", 5.0, 50.0)
    plan = Plan(
        folder=str(folder),
        evaluator="evaluate.py",
        kind="breeder",
        program=ProgramPlan(main="a.py", mode="python", support={}, functions={}),
        stages=(stage,),
        held_out=Stage("held-out", "evaluate", 5.0, 50.0) if held_out else None,
        constraints=(),
        objectives=("score",),
        limits=Limits(),
    )
    return Evaluator(plan, *sandboxes(cost))


def sandboxes(cost: float) -> tuple[ScriptedSandbox, Callable[[int], ScriptedSandbox]]:
    functions = {"answer": lambda: 42}
    return ScriptedSandbox(functions, cost), lambda number: ScriptedSandbox(functions, cost)


CALLING = "def evaluate(candidate):\n    return {'score': candidate.call('answer')}\n"


def job(split: str = "search", seed: int = 0) -> Evaluate:
    return Evaluate({"a.py": ""}, split, None, seed, initial=True)  # type: ignore[arg-type]


def test_cost_is_the_evaluators_and_the_candidates_cpu_time(tmp_path: Path) -> None:
    found = evaluator(tmp_path, CALLING, cost=100.0).evaluate(job())
    assert found.metrics == {"score": 42.0}
    assert 100.0 < found.cost.cpu_seconds < 110.0
    assert found.artifacts["output"] == "called answer\n"


def test_child_processes_of_the_evaluator_count(tmp_path: Path) -> None:
    text = "import subprocess, sys\n" + CALLING.replace(
        "    return",
        "    subprocess.run([sys.executable, '-c', 'sum(range(3_000_000))'])\n    return",
    )
    with_child = evaluator(tmp_path, text, cost=0.0).evaluate(job())
    assert with_child.cost.cpu_seconds > 0.02


def test_random_numbers_of_the_evaluator_follow_the_seed(tmp_path: Path) -> None:
    text = "import random\nimport numpy\ndef evaluate(candidate):\n"
    text += "    return {'score': random.random(), 'other': numpy.random.rand()}\n"
    subject = evaluator(tmp_path, text)
    first, again, other = (subject.evaluate(job(seed=seed)).metrics for seed in (1, 1, 2))
    assert first == again
    assert first["score"] != other["score"]
    assert first["other"] != other["other"]


def test_held_out_without_the_section_is_an_error_of_the_task(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match=r"task\.toml: held_out: is missing"):
        evaluator(tmp_path, CALLING, held_out=False).evaluate(job("held_out"))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise OSError('no trace')", "evaluate.py: line 4, in baselines: OSError: no trace"),
        ("return {'a': {'score': float('nan')}}", "non-finite: score = nan"),
        ("return {'a': {'score': 'x'}}", "evaluate.py: baselines('search') gave score = 'x'"),
        ("return 3", "'int' object has no attribute 'items'"),
    ],
)
def test_baselines_that_are_not_usable_are_errors(tmp_path: Path, body: str, line: str) -> None:
    text = CALLING + f"\ndef baselines(split):\n    {body}\n"
    text = text.replace("\n\ndef", "\ndef")
    with pytest.raises(EvaluatorError) as caught:
        evaluator(tmp_path, text).baselines("search")
    assert line in str(caught.value)


def test_an_evaluator_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_evaluate.py").write_text("SCORE = 3\n")
    text = "import neighbour_of_evaluate as n\ndef evaluate(c):\n    return {'score': n.SCORE}\n"
    assert evaluator(tmp_path, text).evaluate(job()).metrics == {"score": 3.0}
    assert not (tmp_path / "__pycache__").exists()


def test_an_evaluator_that_does_not_exist(tmp_path: Path) -> None:
    subject = evaluator(tmp_path, CALLING)
    (tmp_path / "evaluate.py").unlink()
    with pytest.raises(EvaluatorError, match=r"evaluate\.py: does not exist"):
        Evaluator(subject._plan, *sandboxes(0.0))


def test_the_process_loads_neither_pydantic_nor_scipy() -> None:
    code = "import sys, breeder.evaluation.process as p; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "breeder.evaluation.cascade" in loaded
    assert not loaded & {"pydantic", "scipy", "breeder.task", "asyncio"}
