"""Checks RMS normalisation in Triton, forward and backward, by the rules of the native tasks."""

from breeder.evaluation.loading import load_evaluator
from breeder.kernels.interpreted import Checks, InterpretedTask, rows_size
from breeder.task_formats import load

FORWARD = load_evaluator(load("kernels/rmsnorm").folder, "evaluate.py")
BACKWARD = load_evaluator(load("kernels/rmsnorm_backward").folder, "evaluate.py")

TASK = InterpretedTask(
    [
        Checks(
            FORWARD.KERNEL,
            FORWARD.QUICK,
            FORWARD.VERIFIED,
            FORWARD.unlisted,
            lambda case: rows_size((case.rows, case.columns)),
        ),
        *Checks.of(BACKWARD.TASK),
    ],
    most=30_000,
    remedy="on a machine with one, breeder.training.accelerate times what is adopted",
)
quick, evaluate = TASK.quick, TASK.evaluate
