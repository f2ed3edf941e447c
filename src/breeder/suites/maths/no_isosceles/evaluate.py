"""Scores search programs for point sets without isosceles triangles."""

from breeder.maths import problem
from breeder.maths.grid_search import GridSearch
from breeder.maths.search_task import SearchTask

TASK = SearchTask(
    problem("no_isosceles_32"), unseen=(problem("no_isosceles_64"),), caller=GridSearch
)
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
