"""Scores search programs for the uncertainty principle for signs."""

from breeder.maths import problem
from breeder.maths.search_task import SearchTask

TASK = SearchTask(problem("uncertainty"))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
