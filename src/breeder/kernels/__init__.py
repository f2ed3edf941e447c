"""Native kernels under trial: fresh inputs, a float64 reference, tolerances, fair timing."""

from breeder.kernels.inputs import Inputs
from breeder.kernels.kernel import Argument, Call, Kernel, Output, Updated
from breeder.kernels.record import Effort, Record, ShapeRatio
from breeder.kernels.tolerance import EXACT, Expected, Tolerance, disagreement, rounding
from breeder.kernels.trial import Subject, Trial, TrialResult
from breeder.kernels.trusted import TrustedBatch, TrustedProgram, compiled

__all__ = [
    "EXACT",
    "Argument",
    "Call",
    "Effort",
    "Expected",
    "Inputs",
    "Kernel",
    "Output",
    "Record",
    "ShapeRatio",
    "Subject",
    "Tolerance",
    "Trial",
    "TrialResult",
    "TrustedBatch",
    "TrustedProgram",
    "Updated",
    "compiled",
    "disagreement",
    "rounding",
]
