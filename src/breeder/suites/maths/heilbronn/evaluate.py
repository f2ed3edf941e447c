"""Scores search programs for points without small triangles."""

from breeder.maths import problem
from breeder.maths.family_task import FamilyTask

NAMES = ("heilbronn_triangle_11", "heilbronn_convex_13", "heilbronn_convex_14")
TASK = FamilyTask(
    tuple(map(problem, NAMES)),
    unseen=(problem("heilbronn_triangle_9"), problem("heilbronn_convex_10")),
)
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
