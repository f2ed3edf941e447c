"""Variants of the matmul tiling task: its modules under another evaluate.py, in a new folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from breeder.task import Task
from breeder.task_formats import load

TASK = "kernels/matmul_tiling"
MODULE = "tiling_task"  # the shipped evaluate.py, as the variant's evaluator imports it

HELD_OUT = '[held_out]\nfunction = "evaluate_held_out"\n'


def write_variant(folder: Path, evaluator: str) -> Task:
    """Copy the task into `folder` and put `evaluator` in front of its evaluate.py.

    The variant has no held-out evaluation, which would search the grid of baselines first.

    Args:
        folder: must not exist.
        evaluator: text of the variant's evaluate.py; imports the shipped one as `tiling_task`.
    """
    shutil.copytree(load(TASK).folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "evaluate.py").rename(folder / f"{MODULE}.py")
    (folder / "evaluate.py").write_text(evaluator, encoding="utf-8")
    settings = (folder / "task.toml").read_text(encoding="utf-8")
    assert settings.count(HELD_OUT) == 1, "task.toml has changed"
    (folder / "task.toml").write_text(settings.replace(HELD_OUT, ""), encoding="utf-8")
    return load(folder)
