"""Programs of kernel tasks that were written by hand: no results of the engine.

A program is one file. What several of them share stands in headers beside them, whose text takes
the place of the line that includes them.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
_INCLUDE = re.compile(r'^#include "(\w+\.h)"$', re.MULTILINE)


def program_by_hand(task: str, suffix: str = ".cpp") -> str | None:
    """The program for a task, by the last part of the task's name; None where there is none."""
    file = FOLDER / f"{task.rpartition('/')[2]}{suffix}"
    if not file.is_file():
        return None
    return _INCLUDE.sub(lambda line: _text(FOLDER / line[1]), _text(file))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
