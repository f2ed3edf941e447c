"""Scores constructions of Kakeya sets: one program for many primes."""

from breeder.maths import problem
from breeder.maths.family_task import FamilyTask
from breeder.maths.search_task import Budgets

SEARCHED, UNSEEN = (5, 11, 13, 17, 19, 23, 29, 31), (37, 41, 53, 61)
TASK = FamilyTask(
    tuple(problem(f"kakeya_3_{p}") for p in SEARCHED),
    unseen=tuple(problem(f"kakeya_3_{p}") for p in UNSEEN),
    budgets=Budgets(scratch=14.0, onward=0.0),
)
evaluate_quick, evaluate, evaluate_long = TASK.quick, TASK.full, TASK.long
evaluate_held_out, verify_construction = TASK.held_out, TASK.verify
