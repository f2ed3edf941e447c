"""Checks attention in Triton, forward and backward, by the rules of the native tasks."""

from breeder.kernels import attention, attention_backward
from breeder.kernels.attention_task import QUICK, VERIFIED, unlisted
from breeder.kernels.interpreted import Checks, InterpretedTask

KERNELS = (
    attention.KERNEL,
    attention.KERNEL_BF16,
    attention_backward.KERNEL,
    attention_backward.KERNEL_BF16,
)
TASK = InterpretedTask(
    [
        Checks(kernel, QUICK, VERIFIED, unlisted, lambda case: int(case.queries * case.keys))
        for kernel in KERNELS
    ],
    most=70_000,
    remedy="on a machine with one, breeder.training.accelerate times what is adopted",
)
quick, evaluate = TASK.quick, TASK.evaluate
