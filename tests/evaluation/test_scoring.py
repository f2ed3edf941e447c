import math
from fractions import Fraction

import numpy as np
import pytest

from breeder.core import FailureKind
from breeder.evaluation.candidate import Result
from breeder.evaluation.sandbox import CandidateFailedError
from breeder.evaluation.scoring import (
    MAX_ARTIFACT_CHARACTERS,
    ContractBreachError,
    clean,
    finite_metrics,
    result_of,
)


def test_numbers_of_every_kind_become_floats() -> None:
    given = {"a": 1, "b": np.float32(0.5), "c": np.int64(3), "d": Fraction(1, 4)}
    metrics = result_of(given, "evaluate").metrics
    assert metrics == {"a": 1.0, "b": 0.5, "c": 3.0, "d": 0.25}
    assert all(type(value) is float for value in metrics.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan"), 10**400])
def test_non_finite_is_the_candidates_failure(value: float) -> None:
    with pytest.raises(CandidateFailedError) as caught:
        finite_metrics({"score": value}, "evaluate")
    assert caught.value.failure.kind is FailureKind.NON_FINITE
    assert "score" in caught.value.failure.detail


@pytest.mark.parametrize("value", [True, np.bool_(1), None, "1.0", [1.0], 1j, np.zeros(1)])
def test_what_is_no_number_breaches_the_contract(value: object) -> None:
    with pytest.raises(ContractBreachError, match=r"evaluate gave score = .*not a number"):
        finite_metrics({"score": value}, "evaluate")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "returned nothing"),
        (1.0, "returned a float"),
        (["score"], "returned a list"),
        ({1: 1.0}, "named a metric 1"),
        (Result([1.0]), "whose metrics are a list"),  # type: ignore[arg-type]
        (Result({}, artifacts=["x"]), "artifacts that are not a mapping"),  # type: ignore[arg-type]
    ],
)
def test_unusable_answers_are_named(answer: object, text: str) -> None:
    with pytest.raises(ContractBreachError, match=text):
        result_of(answer, "evaluate")


def test_artifacts_become_texts_of_bounded_length() -> None:
    result = result_of(Result({"a": 1}, artifacts={"n": 3, "long": "x" * 99_999}), "evaluate")
    assert result.artifacts["n"] == "3"
    assert len(result.artifacts["long"]) == MAX_ARTIFACT_CHARACTERS


def test_clean_removes_lone_surrogates() -> None:
    assert clean("a\udcffb") == "a?b"
    assert clean("größe") == "größe"
