"""Scores search programs for hexagons in a hexagon."""

from breeder.maths import problem
from breeder.maths.family_task import FamilyTask

NAMES = ("hexagon_packing_11", "hexagon_packing_12")
TASK = FamilyTask(tuple(map(problem, NAMES)), unseen=(problem("hexagon_packing_8"),))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
