"""Checks cross-entropy in Triton by the rules of the native task."""

from breeder.evaluation.loading import load_evaluator
from breeder.kernels.interpreted import Checks, InterpretedTask
from breeder.task_formats import load

NATIVE = load_evaluator(load("kernels/cross_entropy").folder, "evaluate.py")
TASK = InterpretedTask(
    Checks.of(NATIVE.TASK),
    most=40_000,
    remedy="on a machine with one, breeder.training.accelerate times what is adopted",
)
quick, evaluate = TASK.quick, TASK.evaluate
