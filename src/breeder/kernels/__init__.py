"""Native kernels under trial: fresh inputs, a float64 reference, tolerances, fair timing."""

from breeder.kernels.cases import Case, Cases, array_of, cases_of, unlisted_rows
from breeder.kernels.inputs import Inputs
from breeder.kernels.kernel import Argument, Call, Kernel, Output, Updated
from breeder.kernels.record import Effort, Record, ShapeRatio
from breeder.kernels.timed_task import Contrast, TimedTask
from breeder.kernels.tolerance import (
    EXACT,
    Expected,
    Tolerance,
    disagreement,
    elementwise,
    rounding,
)
from breeder.kernels.trial import Subject, Trial, TrialResult
from breeder.kernels.trusted import TrustedBatch, TrustedProgram, compiled

__all__ = [
    "EXACT",
    "Argument",
    "Call",
    "Case",
    "Cases",
    "Contrast",
    "Effort",
    "Expected",
    "Inputs",
    "Kernel",
    "Output",
    "Record",
    "ShapeRatio",
    "Subject",
    "TimedTask",
    "Tolerance",
    "Trial",
    "TrialResult",
    "TrustedBatch",
    "TrustedProgram",
    "Updated",
    "array_of",
    "cases_of",
    "compiled",
    "disagreement",
    "elementwise",
    "rounding",
    "unlisted_rows",
]
