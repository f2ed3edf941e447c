"""Task: what a task folder says, validated. `task_formats` reads other tools' folders into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from breeder.core import NativeFunction, Objective, fitness, merit
from breeder.errors import TaskError
from breeder.regions import MarkerError, Region, evolvable
from breeder.task_file import (
    FILE_NAME,
    BudgetSection,
    ConstraintSection,
    ConstructionSection,
    FeatureSection,
    HeldOutSection,
    LimitsSection,
    MeasuredSection,
    ObjectiveSection,
    ProgramSection,
    StageSection,
    TaskFile,
    TaskSection,
    VerificationSection,
    parse,
    read,
)

__all__ = [
    "LANGUAGES",
    "BudgetSection",
    "ConstraintSection",
    "ConstructionSection",
    "FeatureSection",
    "HeldOutSection",
    "LimitsSection",
    "MeasuredSection",
    "NativeFunction",
    "ObjectiveSection",
    "ProgramSection",
    "StageSection",
    "Task",
    "TaskFile",
    "TaskSection",
    "VerificationSection",
    "load_native",
]

LANGUAGES: Mapping[str, str] = {
    ".py": "python", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp",
    ".hpp": "cpp", ".rs": "rust", ".go": "go", ".js": "javascript", ".ts": "typescript",
    ".jl": "julia", ".java": "java", ".sh": "shell", ".r": "r", ".R": "r", ".lua": "lua",
    ".pl": "perl", ".rb": "ruby", ".txt": "text",
}  # fmt: skip


class Task:
    """A validated task folder, held in memory.

    Attributes:
        folder: absolute path of the folder.
        file: the validated content of task.toml (or what a foreign folder amounts to).
        kind: `breeder`, `openevolve` or `shinka`. Foreign ones are self-reported.
        files: initial text of every evolved file; `readonly`: of every support file.
        language: language of the first evolved file, lower case (`python`, `c`, `cpp`, ...).
    """

    def __init__(
        self,
        folder: Path,
        file: TaskFile,
        *,
        kind: Literal["breeder", "openevolve", "shinka"] = "breeder",
    ) -> None:
        self.folder = folder.resolve()
        self.file = file
        self.kind = kind
        self.files = {name: self._read(name, "program.files") for name in file.program.files}
        self.readonly = {n: self._read(n, "program.readonly") for n in file.program.readonly}
        first = file.program.files[0]
        self.language = file.program.language or LANGUAGES.get(Path(first).suffix, "text")
        self.objectives = tuple(Objective(o.name, o.direction, o.weight) for o in file.objective)
        self._check()

    @property
    def name(self) -> str:
        """The task's name."""
        return self.file.task.name

    @property
    def trusted(self) -> bool:
        """Whether scores are computed outside the candidate's process."""
        return self.kind == "breeder"

    @property
    def whole(self) -> bool:
        """Whether unmarked files are evolvable as a whole."""
        return self.file.program.evolve == "whole"

    def regions(self, path: str, text: str | None = None) -> tuple[Region, ...]:
        """Evolvable regions of an evolved file; of `text` in its place when given.

        Raises:
            MarkerError: the markers of `text` are damaged.
        """
        return evolvable(self.files[path] if text is None else text, whole=self.whole)

    def fitness(self, metrics: Mapping[str, float]) -> float:
        """Scalar fitness of `metrics`, higher is better. Raises KeyError for a missing metric."""
        return fitness(self.objectives, metrics)

    def merit(self, metrics: Mapping[str, float]) -> float:
        """What parents are selected by, higher is better. Raises KeyError for a missing metric."""
        return merit(self.objectives, metrics, self.merit_name)

    @property
    def merit_name(self) -> str | None:
        """The metric that replaces the objectives in selection; None where they decide."""
        return self.file.construction.merit if self.file.construction else None

    def digest(self) -> str:
        """SHA-256 over task.toml's content, the folder's Python modules, initial and support files.

        All modules count, as the evaluator may import any of them, but for those of runs and of
        other task folders (exported champions, for instance) that lie inside.
        """
        hasher = hashlib.sha256(self.file.model_dump_json(exclude_defaults=True).encode())
        for name, text in sorted({**self.files, **self.readonly}.items()):
            hasher.update(f"\0{name}\0{text}".encode())
        evaluator = self.folder / self.file.evaluator
        for path in sorted({evaluator, *_modules(self.folder)}):
            hasher.update(f"\0{path.relative_to(self.folder)}\0".encode())
            hasher.update(path.read_bytes() if path.is_file() else b"")
        return hasher.hexdigest()

    def _read(self, name: str, key: str) -> str:
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder):
            raise TaskError("task.toml", key, f"{name!r} is outside the task folder")
        if not path.is_file():
            raise TaskError(
                "task.toml", key, f"{name!r} does not exist", "create it or fix the name"
            )
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise TaskError(
                name, "", f"is not UTF-8 (byte {error.start})", "save it as UTF-8"
            ) from None

    def _check(self) -> None:
        if not (self.folder / self.file.evaluator).is_file():
            raise TaskError(
                "task.toml", "evaluator", f"{self.file.evaluator!r} does not exist", "write it"
            )
        for name in self.files:
            try:
                self.regions(name)
            except MarkerError as error:
                raise TaskError(
                    name, "", str(error), "put the markers in comments on lines of their own"
                ) from None


def _modules(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix == ".py":
            yield path
        elif (
            path.is_dir()
            and not path.name.startswith((".", "__pycache__"))
            and not any((path / name).exists() for name in ("run.db", FILE_NAME))
        ):
            yield from _modules(path)


def load_native(folder: Path) -> Task:
    """Read a breeder task folder.

    Raises:
        TaskError: anything wrong in it, as one line with file, key and remedy.
    """
    return Task(folder, parse(read(folder)))
