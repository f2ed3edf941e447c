"""Task: what a task folder says, validated. `task_formats` reads other tools' folders into it."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from breeder.core import Direction, Objective, fitness
from breeder.errors import TaskError
from breeder.regions import MarkerError, Region, evolvable

LANGUAGES: Mapping[str, str] = {
    ".py": "python", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp",
    ".hpp": "cpp", ".rs": "rust", ".go": "go", ".js": "javascript", ".ts": "typescript",
    ".jl": "julia", ".java": "java", ".sh": "shell", ".r": "r", ".R": "r", ".lua": "lua",
    ".pl": "perl", ".rb": "ruby", ".txt": "text",
}  # fmt: skip


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class NativeFunction(_Section):
    """How to call one C or C++ function. Types read like `float64`, `int64[]`, `out float32[]`.

    Attributes:
        arguments: one type per argument, in order. Scalars: int32, int64, float32, float64.
            Arrays: `T[]` (read only), `inout T[]` (the caller's data, answered back), `out T[]`
            (the caller passes the shape as a tuple; the worker allocates it filled with NaN or -1).
        returns: a scalar type or `void`.
    """

    arguments: tuple[str, ...] = ()
    returns: str = "void"


class ProgramSection(_Section):
    """Which files are evolved and how they are run."""

    files: tuple[str, ...] = Field(min_length=1)
    readonly: tuple[str, ...] = ()
    language: str | None = None
    evolve: Literal["marked", "whole"] = "marked"
    preload: tuple[str, ...] = ()
    compile_flags: tuple[str, ...] = ("-O2",)
    functions: Mapping[str, NativeFunction] = Field(default_factory=dict)
    command: tuple[str, ...] = ()


class ObjectiveSection(_Section):
    """A metric to improve."""

    name: str
    direction: Direction
    weight: float = Field(default=1.0, gt=0)


class ConstraintSection(_Section):
    """A bound that a metric must keep for a program to be admissible."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None


class StageSection(_Section):
    """One step of the cascade: a function of evaluate.py and the threshold to pass on."""

    name: str
    function: str = "evaluate"
    metric: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    cpu_seconds: float | None = Field(default=None, gt=0)


class HeldOutSection(_Section):
    """The evaluation that selection never sees."""

    function: str = "evaluate_held_out"
    cpu_seconds: float | None = Field(default=None, gt=0)


class FeatureSection(_Section):
    """A dimension of the archive's grid: `size` (built in: syntax-tree nodes) or any metric."""

    name: str
    low: float
    high: float
    bins: int = Field(default=8, ge=1, le=1000)
    log: bool = False


class LimitsSection(_Section):
    """What one evaluation of a candidate may use; per stage unless the stage says otherwise."""

    cpu_seconds: float = Field(default=30.0, gt=0)
    wall_seconds: float = Field(default=120.0, gt=0)
    memory_mib: int = Field(default=2048, ge=32)
    scratch_mib: int = Field(default=64, ge=1)
    file_mib: int = Field(default=32, ge=1)
    processes: int = Field(default=16, ge=1)
    output_kib: int = Field(default=256, ge=1)
    answer_mib: int = Field(default=64, ge=1)
    source_kib: int = Field(default=256, ge=1)
    compile_seconds: float = Field(default=30.0, gt=0)


class BudgetSection(_Section):
    """Default budget of a run of this task."""

    minutes: float | None = Field(default=None, gt=0)
    evaluations: int | None = Field(default=None, gt=0)
    cpu_seconds: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    currency: float | None = Field(default=None, gt=0)


class ConstructionSection(_Section):
    """Whether the best artefact so far is handed to later programs."""

    carry: bool = True


class TaskSection(_Section):
    """Name and goal."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]*$")
    goal: str = Field(min_length=1)
    data: Mapping[str, str] = Field(default_factory=dict)
    """Names of environment variables that point at optional real data -> what it is."""


class TaskFile(_Section):
    """The whole of task.toml."""

    task: TaskSection
    program: ProgramSection
    objective: tuple[ObjectiveSection, ...] = Field(min_length=1)
    constraint: tuple[ConstraintSection, ...] = ()
    stage: tuple[StageSection, ...] = (StageSection(name="full"),)
    held_out: HeldOutSection | None = None
    feature: tuple[FeatureSection, ...] = ()
    limits: LimitsSection = LimitsSection()
    budget: BudgetSection = BudgetSection()
    construction: ConstructionSection | None = None
    evaluator: str = "evaluate.py"


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

    def digest(self) -> str:
        """SHA-256 over task.toml's content, evaluator, initial and support files."""
        hasher = hashlib.sha256(self.file.model_dump_json().encode())
        evaluator = self.folder / self.file.evaluator
        for name, text in sorted({**self.files, **self.readonly}.items()):
            hasher.update(f"\0{name}\0{text}".encode())
        hasher.update(evaluator.read_bytes() if evaluator.is_file() else b"")
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


def load_native(folder: Path) -> Task:
    """Read a breeder task folder.

    Raises:
        TaskError: anything wrong in it, as one line with file, key and remedy.
    """
    path = folder / "task.toml"
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError("task.toml", "", f"is not valid TOML: {error}", "mend the syntax") from None
    try:
        file = TaskFile.model_validate(data)
    except ValidationError as error:
        raise _explain(error) from None
    return Task(folder, file)


def _explain(error: ValidationError) -> TaskError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return TaskError("task.toml", key, "unknown key", "remove it or correct the spelling")
    if first["type"] == "missing":
        return TaskError("task.toml", key, "is missing", "add it")
    return TaskError("task.toml", key, f"{first['msg']} (got {first['input']!r})", "correct it")
