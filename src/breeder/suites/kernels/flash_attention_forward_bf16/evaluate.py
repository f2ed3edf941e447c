"""Scores the forward pass of attention in bfloat16: right within it, faster than plain loops."""

from pathlib import Path

from breeder.kernels.attention import KERNEL_BF16 as KERNEL
from breeder.kernels.attention_rivals import numpy_forward, torch_forward
from breeder.kernels.attention_task import attention_task, baselines_of

FOLDER = Path(__file__).parent
TASK = attention_task(FOLDER, KERNEL)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
baselines = baselines_of(FOLDER, TASK, {"numpy": numpy_forward, "torch SDPA": torch_forward})
