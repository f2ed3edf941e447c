"""Paired timing: comparisons with intervals, sequential stopping, the noise floor of a machine."""

from breeder.measurement.comparison import Clock, Comparison, Spent, Verdict, Work

__all__ = ["Clock", "Comparison", "Spent", "Verdict", "Work"]
