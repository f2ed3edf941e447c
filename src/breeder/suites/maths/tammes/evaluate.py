"""Scores search programs for points far apart on the sphere."""

from breeder.maths import problem
from breeder.maths.search_task import SearchTask

TASK = SearchTask(problem("tammes_50"), unseen=(problem("tammes_40"),))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
