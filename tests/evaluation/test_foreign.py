import asyncio
from pathlib import Path
from types import MappingProxyType

import pytest

from breeder.core import Evaluation, FailureKind, Program
from breeder.errors import EvaluatorError, SandboxUnavailableError, TaskError
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


BODY = "def evaluate(p): return {'combined_score': 1.0}\n"


def openevolve(folder: Path, evaluator: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "initial_program.py").write_text("x = 1\n")
    (folder / "evaluator.py").write_text(evaluator)
    return folder


def evaluate(name: str | Path, *edits: tuple[str, str]) -> list[Evaluation]:
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


@in_sandbox
def test_an_evaluator_with_processes_threads_and_files_of_its_own() -> None:
    first, wrong, broken = evaluate(
        "openevolve_workers",
        ("return side * side", "return side + side"),
        ("def areas", "def regions"),
    )
    assert first.failure is None
    # What is not a finite number is told as text beside the score.
    assert first.metrics == {
        "right": 3.0, "counted": 3.0, "doubled": 6.0, "child": 25.0, "complete": 1.0,
        "combined_score": 1.0,
    }  # fmt: skip
    assert (first.artifacts["worst"], first.artifacts["note"]) == ("inf", "checked")
    assert wrong.metrics["combined_score"] == pytest.approx(1 / 3)
    assert broken.metrics == {"combined_score": 0.0}
    assert "has no attribute 'areas'" in broken.artifacts["status"]


@in_sandbox
def test_shinka_seeds_status_and_settings_of_its_run_function() -> None:
    first, large, missing = evaluate(
        "shinka_settings", ("float(seed)", "100.0 * seed"), ("def draw", "def paint")
    )
    assert first.metrics == {"largest": 3.0, "combined_score": 6.0}
    assert large.failure is not None
    assert large.failure.detail == "Validation failed: 100.0 is too large"
    assert missing.failure is not None
    assert "no function 'draw'" in missing.failure.detail


@in_sandbox
def test_a_mean_leaves_flags_out_and_stages_add_up(tmp_path: Path) -> None:
    (plain,) = evaluate(openevolve(tmp_path / "a", "def evaluate(p): return {'a': 3, 'ok': True}"))
    assert plain.metrics == {"a": 3.0, "ok": 1.0, "combined_score": 3.0}
    stages = (
        "def evaluate_stage1(p): return {'a': 0.9, 'error': 0.1}\n"
        "def evaluate_stage2(p): return {'b': 0.5}\n"
        "def evaluate_stage3(p): return {'c': 9.0}\n"
    )
    # 0.9 passes the first threshold of 0.5; (0.9 + 0.5) / 2 does not pass the second of 0.75.
    (staged,) = evaluate(openevolve(tmp_path / "b", stages))
    assert staged.metrics == {"a": 0.9, "b": 0.5, "combined_score": 0.7}


@in_sandbox
@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return {'note': 'no data'}", "the evaluator gave no score"),
        ("return {'combined_score': 0.0, 'error': 'no data'}", "reports an error: no data"),
        ("return {'metrics': {'a': 0}, 'artifacts': {'error': 'lost'}}", "reports an error: lost"),
        (
            "import subprocess\n"
            "    try: subprocess.run(['no-such-compiler', p])\n"
            "    except OSError: return {'combined_score': 0.0}",
            "no no-such-compiler in the sandbox",
        ),
    ],
)
def test_a_failed_evaluation_says_why(tmp_path: Path, body: str, line: str) -> None:
    (failed,) = evaluate(openevolve(tmp_path, f"def evaluate(p):\n    {body}\n"))
    assert failed.failure is not None
    assert failed.failure.kind is FailureKind.INVALID
    assert line in failed.failure.detail


@in_sandbox
def test_a_program_that_is_found_does_not_explain_a_score_of_zero(tmp_path: Path) -> None:
    body = (
        "def evaluate(p):\n    import subprocess\n    subprocess.run(['true'])\n    return {'a': 0}"
    )
    (found,) = evaluate(openevolve(tmp_path, body))
    assert found.failure is None


@in_sandbox
def test_missing_packages_are_one_line_before_the_run(tmp_path: Path) -> None:
    folder = openevolve(tmp_path, "import no_such_a, numpy\nfrom sklearn_absent import x\n" + BODY)
    with pytest.raises(EvaluatorError) as caught:
        evaluate(folder)
    line = str(caught.value)
    assert "evaluator.py: line 1: imports 'no_such_a' and 'sklearn_absent'" in line
    assert line.endswith("-m pip install no_such_a sklearn_absent")
    assert "\n" not in line


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
