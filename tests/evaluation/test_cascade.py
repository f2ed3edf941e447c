import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.scripted_sandbox import ScriptedSandbox

from breeder.core import Failure, FailureKind, Limits
from breeder.errors import EvaluatorError
from breeder.evaluation import wire
from breeder.evaluation.candidate import InvalidAnswerError, Result
from breeder.evaluation.cascade import MAX_CONSTRUCTION_BYTES, Cascade, Verdict
from breeder.evaluation.live_candidate import LiveCandidate
from breeder.evaluation.protocol import Evaluate, ProgramPlan, Stage, Threshold
from breeder.evaluation.sandbox import CandidateFailedError

PROGRAM = ProgramPlan(main="a.py", mode="python", support={}, functions={})


def stage(name: str, threshold: Threshold | None = None, cpu_seconds: float = 5.0) -> Stage:
    return Stage(name, name, cpu_seconds, 50.0, threshold)


def candidate(**functions: Callable[..., Any]) -> LiveCandidate:
    request = Evaluate({"a.py": ""}, "search", None, 0, initial=False)
    return LiveCandidate(ScriptedSandbox(functions), PROGRAM, Limits(), request, {})


def judge(*stages: Stage, functions: dict[str, Any], **options: Any) -> Verdict:
    cascade = Cascade(Path(__file__).parent, "evaluate.py", functions)
    return cascade.run(candidate(answer=lambda: 4), stages, **options)


def raising(error: BaseException) -> Callable[[Any], Any]:
    def evaluate(_candidate: Any) -> Any:
        raise error

    return evaluate


def test_metrics_of_all_stages_merge_and_later_ones_win() -> None:
    verdict = judge(
        stage("quick"),
        stage("full"),
        functions={
            "quick": lambda c: {"score": c.call("answer"), "quick": 1},
            "full": lambda _: Result({"score": 2}, artifacts={"worst": "case 3"}),
        },
    )
    assert verdict.metrics == {"score": 2.0, "quick": 1.0}
    assert verdict.failure is None
    assert (verdict.stage, verdict.stages_run) == ("full", 2)
    assert verdict.artifacts == {"worst": "case 3"}


@pytest.mark.parametrize(
    ("bound", "passes"),
    [
        (Threshold("score", at_least=4.0), True),
        (Threshold("score", at_least=4.1), False),
        (Threshold("score", at_most=4.0), True),
        (Threshold("score", at_most=3.9), False),
    ],
)
def test_a_threshold_stops_before_the_next_stage(bound: Threshold, passes: bool) -> None:
    verdict = judge(
        stage("quick", bound),
        stage("full"),
        functions={"quick": lambda c: {"score": c.call("answer")}, "full": lambda _: {"full": 1}},
    )
    assert verdict.stages_run == (2 if passes else 1)
    if passes:
        assert verdict.failure is None
    else:
        assert verdict.failure is not None
        assert verdict.failure.kind is FailureKind.THRESHOLD
        assert verdict.failure.stage == "quick"
        assert "score = 4" in verdict.failure.detail
        assert verdict.metrics == {"score": 4.0}


def test_constraints_are_checked_after_the_last_stage() -> None:
    bounds = [Threshold("error", at_most=0.1)]
    run = {"full": lambda _: {"error": 0.2}}
    verdict = judge(stage("full"), functions=run, constraints=bounds)
    assert verdict.failure == Failure(FailureKind.CONSTRAINT, "error = 0.2 is above 0.1", "full")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CandidateFailedError(Failure(FailureKind.CRASH, "signal 11")), FailureKind.CRASH),
        (InvalidAnswerError("two circles overlap"), FailureKind.INVALID),
    ],
)
def test_the_candidates_faults_are_its_failures(error: Exception, kind: FailureKind) -> None:
    verdict = judge(stage("full"), functions={"full": raising(error)})
    assert verdict.failure is not None
    assert (verdict.failure.kind, verdict.failure.stage) == (kind, "full")
    assert not verdict.breach


def test_a_call_that_fails_carries_its_kind_through_the_evaluator() -> None:
    verdict = judge(stage("full"), functions={"full": lambda c: c.call("absent")})
    assert verdict.failure == Failure(FailureKind.MISSING, "absent", "full")


def test_an_evaluator_that_raises_is_blamed_with_its_line() -> None:
    def full(_candidate: Any) -> Any:
        return {"score": 1 / 0}

    line = full.__code__.co_firstlineno + 1
    verdict = judge(stage("full"), functions={"full": full})
    assert verdict.failure is not None
    assert verdict.failure.kind is FailureKind.EVALUATOR
    assert verdict.breach == (
        f"test_cascade.py: line {line}, in full: ZeroDivisionError: division by zero"
    )


@pytest.mark.parametrize("error", [SystemExit(0), RecursionError("deep"), MemoryError()])
def test_whatever_an_evaluator_raises_ends_as_its_own_fault(error: BaseException) -> None:
    verdict = judge(stage("full"), functions={"full": raising(error)})
    assert verdict.failure is not None
    assert verdict.failure.kind is FailureKind.EVALUATOR
    assert type(error).__name__ in verdict.breach


def test_our_own_errors_pass_through() -> None:
    with pytest.raises(EvaluatorError, match="no compiler"):
        judge(stage("full"), functions={"full": raising(EvaluatorError("no compiler"))})


def test_non_finite_metrics_stop_the_cascade() -> None:
    verdict = judge(stage("full"), functions={"full": lambda _: {"score": math.nan}})
    assert verdict.failure == Failure(FailureKind.NON_FINITE, "score = nan", "full")


@pytest.mark.parametrize(
    ("answer", "text"),
    [(None, "full returned nothing"), ({"score": "high"}, "score = 'high', which is not a number")],
)
def test_unusable_answers_blame_the_evaluator(answer: Any, text: str) -> None:
    verdict = judge(stage("full"), functions={"full": lambda _: answer})
    assert verdict.failure is not None
    assert verdict.failure.kind is FailureKind.EVALUATOR
    assert text in verdict.breach


def test_a_missing_objective_blames_the_evaluator() -> None:
    verdict = judge(stage("full"), functions={"full": lambda _: {"other": 1}}, required=["score"])
    assert verdict.breach == "evaluate.py: the metric 'score' of an objective is missing"


@pytest.mark.parametrize("where", ["threshold", "constraint"])
def test_a_bound_on_an_unknown_metric_blames_the_evaluator(where: str) -> None:
    bound = Threshold("speed", at_least=1.0)
    verdict = judge(
        stage("full", bound if where == "threshold" else None),
        functions={"full": lambda _: {"score": 1}},
        constraints=[bound] if where == "constraint" else [],
    )
    assert f"the metric 'speed' of a {where} is missing; known: score" in verdict.breach


def test_the_last_construction_is_kept_as_bytes() -> None:
    verdict = judge(
        stage("quick"),
        stage("full"),
        functions={
            "quick": lambda _: Result({"score": 1}, construction=[1.0]),
            "full": lambda _: Result({"score": 1}, construction={"x": [2.0, 3.0]}),
        },
    )
    assert verdict.construction is not None
    assert wire.decode(verdict.construction) == {"x": [2.0, 3.0]}


@pytest.mark.parametrize(
    ("construction", "text"),
    [
        (object(), "not plain data"),
        (bytes(MAX_CONSTRUCTION_BYTES + 1), "bytes; at most"),
    ],
)
def test_constructions_that_cannot_be_kept_blame_the_evaluator(
    construction: Any, text: str
) -> None:
    functions = {"full": lambda _: Result({"score": 1}, construction=construction)}
    assert text in judge(stage("full"), functions=functions).breach
