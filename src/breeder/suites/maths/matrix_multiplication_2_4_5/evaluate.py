"""Scores search programs for fast multiplication of 2 x 4 and 4 x 5 matrices."""

from breeder.maths import problem
from breeder.maths.scheme_search import SchemeSearch
from breeder.maths.search_task import SearchTask

TASK = SearchTask(
    problem("matrix_multiplication_2_4_5"),
    unseen=(problem("matrix_multiplication_3_3_3"),),
    caller=SchemeSearch,
)
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
