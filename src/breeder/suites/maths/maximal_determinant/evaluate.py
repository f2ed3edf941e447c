"""Scores search programs for matrices of signs with a large determinant."""

from breeder.maths import problem
from breeder.maths.search_task import SearchTask

TASK = SearchTask(problem("maximal_determinant_29"), unseen=(problem("maximal_determinant_21"),))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
