"""Scores constructors of difference bases."""

from breeder.maths import problem
from breeder.maths.search_task import SearchTask

TASK = SearchTask(problem("difference_basis"))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
