"""`breeder new`: writes a small task folder that runs as it is."""

from __future__ import annotations

import re
from pathlib import Path

from breeder.errors import UserError

_TEMPLATE = Path(__file__).parent / "template"
_FILES = ("task.toml", "initial.py", "evaluate.py", "README.md")
_NAME = "TASK_NAME"


def new(path: Path) -> None:
    """Write a task folder at `path`, named after the folder.

    Raises:
        UserError: something is there already, or the folder cannot be written.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.resolve().name).strip("-._")
    if not name:
        raise UserError(f"{path}: the folder's name holds no letter or digit; choose another one")
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; choose another path")
    if path.is_dir() and any(path.iterdir()):
        raise UserError(f"{path}: is not empty; choose a new path")
    try:
        path.mkdir(parents=True, exist_ok=True)
        for file in _FILES:
            text = (_TEMPLATE / file).read_text(encoding="utf-8")
            (path / file).write_text(text.replace(_NAME, name), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
