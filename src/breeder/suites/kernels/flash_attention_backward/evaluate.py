"""Scores the gradients of attention: right within float32, and faster than plain loops."""

from pathlib import Path

from breeder.kernels.attention_backward import KERNEL
from breeder.kernels.attention_rivals import numpy_backward, torch_backward
from breeder.kernels.attention_task import attention_task, baselines_of

FOLDER = Path(__file__).parent
TASK = attention_task(FOLDER, KERNEL)
quick, evaluate, confirm = TASK.quick, TASK.evaluate, TASK.confirm
evaluate_held_out, verify = TASK.evaluate_held_out, TASK.verify
baselines = baselines_of(FOLDER, TASK, {"numpy": numpy_backward, "torch SDPA": torch_backward})
