"""Scores search programs for points at distances that differ little."""

from breeder.maths import problem
from breeder.maths.family_task import FamilyTask

NAMES = ("max_min_ratio_2_16", "max_min_ratio_3_14")
TASK = FamilyTask(tuple(map(problem, NAMES)), unseen=(problem("max_min_ratio_2_12"),))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
