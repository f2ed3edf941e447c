"""Paired timing: comparisons with intervals, sequential stopping, the noise floor of a machine."""

from breeder.measurement.clocks import processor_share, timed, timed_pair
from breeder.measurement.comparison import Clock, Comparison, Spent, Verdict, Work
from breeder.measurement.estimation import Estimate, estimate, inflation
from breeder.measurement.pairing import Limits, OnPair, Settings, compare
from breeder.measurement.sequence import ConfidenceSequence, Interval

__all__ = [
    "Clock",
    "Comparison",
    "ConfidenceSequence",
    "Estimate",
    "Interval",
    "Limits",
    "OnPair",
    "Settings",
    "Spent",
    "Verdict",
    "Work",
    "compare",
    "estimate",
    "inflation",
    "processor_share",
    "timed",
    "timed_pair",
]
