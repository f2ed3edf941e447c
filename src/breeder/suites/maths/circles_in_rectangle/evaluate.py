"""Scores search programs for circles in a rectangle."""

from breeder.maths import problem
from breeder.maths.search_task import SearchTask

TASK = SearchTask(problem("circles_in_rectangle_21"), unseen=(problem("circles_in_rectangle_15"),))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
