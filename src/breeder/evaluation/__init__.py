"""Evaluation across a trust boundary: evaluator process, candidate sandbox, limits, cascade."""

from breeder.core import Failure, FailureKind
from breeder.evaluation.candidate import Candidate, InvalidAnswerError, Result
from breeder.evaluation.sandbox import CandidateFailedError

__all__ = [
    "Candidate",
    "CandidateFailedError",
    "Failure",
    "FailureKind",
    "InvalidAnswerError",
    "Result",
]
