"""MadeTask: a task folder written from a program and an evaluator that Python code gives."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from breeder.capture import capture, capture_program
from breeder.core import Direction
from breeder.errors import RunError, TaskError, UserError

FOLDER = "run.task"
"""Name of the task's folder inside the run's directory, among the run's own files."""

_SCORE: Mapping[str, str] = {"score": "maximize"}
_START, _EVALUATE = "initial.py", "evaluate.py"


@dataclass(frozen=True, slots=True)
class MadeTask:
    """A task in words and code.

    Attributes:
        program: a function, or the text of a Python program. Text without `EVOLVE-BLOCK` markers
            is evolved as a whole, of a function its own text.
        evaluate: `evaluate(candidate) -> metrics`, a function or the text of a module that defines
            `evaluate` (and `evaluate_held_out`, if `held_out` is True).
        goal: what is wanted, one paragraph.
        objectives: metric -> `maximize` or `minimize`.
        held_out: a function like `evaluate` for data that selection never sees.
        limits: keys of `[limits]` in task.toml.
        name: the task's name; the function's by default.
    """

    program: str | Callable[..., Any]
    evaluate: str | Callable[..., Any]
    goal: str = ""
    objectives: Mapping[str, str] = field(default_factory=lambda: _SCORE)
    held_out: bool | Callable[..., Any] = False
    limits: Mapping[str, float] = field(default_factory=dict)
    name: str = ""

    @property
    def title(self) -> str:
        """The task's name."""
        own = self.program.__name__ if callable(self.program) else "program"
        return self.name or own.strip("_") or "program"

    def write(self, run: Path) -> Path:
        """Write the task's folder into a run's directory, which must not hold a run yet.

        Raises:
            RunError: the directory holds a run, or files that are none of a run's.
            UserError: something given cannot be written down; see `capture`.
        """
        if run.is_dir() and any(one.name != FOLDER for one in run.iterdir()):
            raise RunError(f"{run}: is not empty; name a new or empty folder")
        files = {
            "task.toml": self._settings(),
            _START: self._start(),
            _EVALUATE: self._evaluator(),
        }
        folder = run / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
        return folder

    def _start(self) -> str:
        if callable(self.program):
            return capture_program(self.program)
        _parse(self.program, "program")
        return self.program

    def _evaluator(self) -> str:
        if isinstance(self.evaluate, str):
            if callable(self.held_out):
                raise UserError("held_out: define evaluate_held_out in the text of evaluate")
            _parse(self.evaluate, "evaluate")
            return self.evaluate
        if isinstance(self.held_out, bool):
            if self.held_out:
                raise UserError("held_out: give a function, as for evaluate")
            return capture([self.evaluate])
        return capture([self.evaluate, self.held_out])

    def _settings(self) -> str:
        whole = not callable(self.program) and "EVOLVE-BLOCK-START" not in self.program
        goal = self.goal.strip() or f"Change {_START} so that {_EVALUATE} scores it better."
        lines = ["[task]", f"name = {_toml(self.title)}", f"goal = {_toml(goal)}", "", "[program]"]
        lines += [f"files = [{_toml(_START)}]", f"evolve = {_toml('whole' if whole else 'marked')}"]
        for name, direction in self.objectives.items():
            if direction not in list(Direction):
                raise UserError(f"objectives: {name!r}: {direction!r} is not maximize or minimize")
            lines += ["", "[[objective]]", f"name = {_toml(name)}"]
            lines += [f"direction = {_toml(str(direction))}"]
        own = self.evaluate.__name__ if callable(self.evaluate) else "evaluate"
        lines += ["", "[[stage]]", 'name = "full"', f"function = {_toml(own)}"]
        if self.held_out:
            there = self.held_out.__name__ if callable(self.held_out) else "evaluate_held_out"
            lines += ["", "[held_out]", f"function = {_toml(there)}"]
        if self.limits:
            lines += ["", "[limits]", *(f"{key} = {value}" for key, value in self.limits.items())]
        return "\n".join(lines) + "\n"


def _parse(text: str, what: str) -> None:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        where = f"line {getattr(error, 'lineno', 1)}"
        raise TaskError(what, where, str(getattr(error, "msg", error)), "mend it") from None


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
