"""Scores constructors of Nikodym sets: one program for several fields."""

from breeder.maths import problem
from breeder.maths.family_task import FamilyTask

NAMES = ("nikodym_3", "nikodym_5", "nikodym_7")
TASK = FamilyTask(tuple(map(problem, NAMES)), unseen=(problem("nikodym_11"),))
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
