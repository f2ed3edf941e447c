import asyncio
from pathlib import Path
from types import MappingProxyType

import pytest

from breeder.core import Evaluation, FailureKind, Program
from breeder.errors import SandboxUnavailableError, TaskError
from breeder.evaluation import foreign, sandboxes
from breeder.evaluation.plan import plan
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.task_formats import load

DATA = Path(__file__).parents[1] / "data"

try:
    sandboxes.require("bubblewrap")
except SandboxUnavailableError as error:
    UNAVAILABLE = str(error)
else:
    UNAVAILABLE = ""

in_sandbox = pytest.mark.skipif(bool(UNAVAILABLE), reason=UNAVAILABLE or "bubblewrap works")


def evaluate(name: str, *edits: tuple[str, str]) -> list[Evaluation]:
    """Evaluate the initial program, then one program per (old text, new text)."""
    task = load(DATA / name)
    ((file, text),) = task.files.items()
    texts = [text, *(text.replace(old, new) for old, new in edits)]

    async def session() -> list[Evaluation]:
        executor = LocalExecutor(task)
        await executor.start()
        try:
            programs = [Program("p", {file: text}, parents=("q",)) for text in texts]
            return [await executor.evaluate(Job(program)) for program in programs]
        finally:
            await executor.close()

    return asyncio.run(session())


@in_sandbox
def test_openevolve_in_process_scores_by_the_mean_of_its_numbers() -> None:
    first, broken, nan = evaluate(
        "openevolve_valley",
        ("def run_search", "def walk"),
        ("return best", "return float('nan'), 0.0"),
    )
    assert first.failure is None
    assert not first.trusted
    numbers = [first.metrics[name] for name in ("value_score", "distance_score")]
    assert first.metrics["combined_score"] == pytest.approx(sum(numbers) / 2)
    assert first.artifacts["note"] == "found"
    assert broken.failure is not None
    assert broken.failure.kind is FailureKind.EXCEPTION
    assert "run_search" in broken.failure.detail
    assert nan.failure is not None
    assert nan.failure.kind is FailureKind.NON_FINITE


@in_sandbox
def test_openevolve_stages_as_subprocesses_with_artifacts() -> None:
    first, backwards, crash = evaluate(
        "openevolve_staged",
        ("return sorted(values)", "return values[::-1]"),
        ("return sorted(values)", "return sorted(value)"),
    )
    assert first.metrics == {"first": 1.0, "combined_score": 1.0, "cases": 4.0}
    # The first stage's 0.0 is below its threshold: their result is what was reported so far.
    assert backwards.metrics == {"first": 0.0, "combined_score": 0.0}
    assert crash.metrics["combined_score"] == 0.0
    assert "NameError" in crash.artifacts["stderr"]


@in_sandbox
def test_shinka_through_its_run_function() -> None:
    first, liar, raising = evaluate(
        "shinka_spread",
        ("min(b - a for a, b in pairwise(points))", "999.0"),
        ("return [index", "raise OSError('gone')\n    return [index"),
    )
    assert first.metrics["combined_score"] == pytest.approx((1 / 5 + 1 / 6) / 2)
    assert first.metrics["smallest_gap"] == pytest.approx(1 / 6)
    assert "secret" not in first.metrics
    assert first.artifacts["feedback"] == "the end of the line is unused"
    assert liar.failure is not None
    assert liar.failure.kind is FailureKind.INVALID
    assert "the reported gap is not the gap" in liar.failure.detail
    assert raising.failure is not None
    assert "OSError: gone" in raising.failure.detail


@in_sandbox
def test_shinka_with_its_own_results_and_another_language() -> None:
    first, large, nothing = evaluate("shinka_plain", ("echo 3", "echo 30"), ("echo 3", "true"))
    assert first.metrics == {"combined_score": 3.0}
    assert large.failure is not None
    assert (large.failure.kind, large.failure.detail) == (FailureKind.INVALID, "too large")
    assert nothing.failure is not None


def test_support_files_are_the_folder_with_adapter_and_shims(tmp_path: Path) -> None:
    (tmp_path / "initial_program.py").write_text("x = 1\n")
    (tmp_path / "evaluator.py").write_text("def evaluate(path): return {}\n")
    (tmp_path / "table.bin").write_bytes(b"\xff\x00")
    for skipped in ("__pycache__", ".git", "openevolve_output"):
        (tmp_path / skipped).mkdir()
        (tmp_path / skipped / "large").write_text("x")
    files = foreign.support_files(plan(load(tmp_path)))
    assert files["table.bin"] == b"\xff\x00"
    own = {name for name in files if not name.startswith("_breeder/")}
    assert own == {"initial_program.py", "evaluator.py", "table.bin"}
    assert set(files) - own == {
        "_breeder/foreign_adapter.py",
        "_breeder/shims/openevolve/__init__.py",
        "_breeder/shims/openevolve/evaluation_result.py",
        "_breeder/shims/shinka/__init__.py",
        "_breeder/shims/shinka/core.py",
    }


def test_a_folder_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "initial_program.py").write_text("x = 1\n")
    (tmp_path / "evaluator.py").write_text("def evaluate(path): return {}\n")
    task_plan = plan(load(tmp_path))
    monkeypatch.setattr(foreign, "MAX_FOLDER_BYTES", 10)
    with pytest.raises(TaskError, match="remove outputs"):
        foreign.support_files(task_plan)


@pytest.mark.parametrize(
    "answer", [None, 3, {"metrics": {"a": "x"}, "artifacts": {}}, {"artifacts": {}}]
)
def test_a_report_of_the_wrong_shape_is_the_candidates_failure(answer: object) -> None:
    class Answering:
        files = MappingProxyType({"initial.sh": ""})

        def call(self, *_arguments: object) -> object:
            return answer

    function = foreign.evaluate_function(plan(load(DATA / "shinka_plain")))
    with pytest.raises(foreign.CandidateFailedError) as caught:
        function(Answering())  # type: ignore[arg-type]
    assert caught.value.failure.kind is FailureKind.PROTOCOL
