"""Read, never run."""

from shinka.core import EvolutionConfig
from shinka.launch import LocalJobConfig

TASK_SYS_MSG = "Draw large numbers."
job_config = LocalJobConfig(eval_program_path="evaluate.py", time="00:01:30")
evo_config = EvolutionConfig(task_sys_msg=TASK_SYS_MSG, num_generations=12)
