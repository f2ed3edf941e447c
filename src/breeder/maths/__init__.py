"""Mathematical problems with exact verifiers: what a construction is worth, or why it is none."""

from breeder.maths.problem import Problem, Repaired, Value, Verified
from breeder.maths.refusal import RefusedError
from breeder.maths.registry import problem, problems
from breeder.maths.sheets import Bound, Record, Sheet

__all__ = [
    "Bound",
    "Problem",
    "Record",
    "RefusedError",
    "Repaired",
    "Sheet",
    "Value",
    "Verified",
    "problem",
    "problems",
]
