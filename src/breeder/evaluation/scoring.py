"""What an evaluator may answer, checked: metrics are real finite numbers under text names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from breeder.core import Failure, FailureKind
from breeder.evaluation.candidate import Result
from breeder.evaluation.sandbox import CandidateFailedError

MAX_ARTIFACT_CHARACTERS = 8_000


class ContractBreachError(Exception):
    """evaluate.py answered something that is not usable. The text is one line and says what."""


def result_of(answer: Any, function: str) -> Result:
    """Return what an evaluate function answered as a `Result` with checked metrics.

    Raises:
        ContractBreachError: neither a mapping nor a Result, or a metric that is no number.
        CandidateFailedError: NON_FINITE, a metric is NaN or infinite.
    """
    if isinstance(answer, Mapping):
        answer = Result(answer)
    if not isinstance(answer, Result):
        shown = "nothing" if answer is None else f"a {type(answer).__name__}"
        raise ContractBreachError(
            f"{function} returned {shown}, not a mapping of metrics or a Result"
        )
    if not isinstance(answer.metrics, Mapping):
        raise ContractBreachError(
            f"{function} returned a Result whose metrics are a {type(answer.metrics).__name__}"
        )
    metrics = finite_metrics(answer.metrics, function)
    artifacts = texts(answer.artifacts, function)
    intervals = _intervals(answer.intervals, metrics, function)
    return Result(metrics, artifacts, answer.construction, intervals)


def finite_metrics(metrics: Mapping[Any, Any], function: str) -> dict[str, float]:
    """Return `metrics` as plain floats.

    Raises:
        ContractBreachError: a name that is no text, or a value that is no real number.
        CandidateFailedError: NON_FINITE.
    """
    checked: dict[str, float] = {}
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise ContractBreachError(f"{function} named a metric {name!r}, which is not text")
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ContractBreachError(
                f"{function} gave {name} = {_short(value)}, which is not a number"
            )
        checked[name] = _finite(name, value)
    return checked


def texts(artifacts: Any, function: str) -> dict[str, str]:
    """Return artifacts as texts, each cut to `MAX_ARTIFACT_CHARACTERS`.

    Raises:
        ContractBreachError: it is not a mapping.
    """
    if not isinstance(artifacts, Mapping):
        raise ContractBreachError(f"{function} gave artifacts that are not a mapping")
    return {str(k): clean(str(v))[:MAX_ARTIFACT_CHARACTERS] for k, v in artifacts.items()}


def _intervals(
    intervals: Any, metrics: Mapping[str, float], function: str
) -> dict[str, tuple[float, float]]:
    """Return intervals as pairs of finite floats, low first, each of a metric that is there."""
    if not isinstance(intervals, Mapping):
        raise ContractBreachError(f"{function} gave intervals that are not a mapping")
    checked: dict[str, tuple[float, float]] = {}
    for name, pair in intervals.items():
        if name not in metrics:
            raise ContractBreachError(
                f"{function} gave an interval of {name!r}, which is no metric"
            )
        try:
            low, high = pair
        except (TypeError, ValueError):
            raise ContractBreachError(
                f"{function} gave {_short(pair)} as the interval of {name}, not (low, high)"
            ) from None
        ends = finite_metrics({f"{name} (low)": low, f"{name} (high)": high}, function)
        low, high = ends.values()
        if low > high:
            raise ContractBreachError(f"{function} gave an interval of {name} with low above high")
        checked[name] = (low, high)
    return checked


def clean(text: str) -> str:
    """Return `text` without lone surrogates, which no UTF-8 store or message can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _finite(name: str, value: Real) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CandidateFailedError(Failure(FailureKind.NON_FINITE, f"{name} = {number}"))
    return number


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
