"""The content of task.toml as validated sections, and what is said when it is wrong."""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from breeder.core import Direction, Limits, NativeFunction
from breeder.errors import TaskError

FILE_NAME = "task.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


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

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a constraint needs at_least or at_most")
        return self


class StageSection(_Section):
    """One step of the cascade: a function of evaluate.py and the threshold to pass on."""

    name: str
    function: str = "evaluate"
    metric: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    promote: float | None = Field(default=None, gt=0, le=1)
    distinct: bool = False
    cpu_seconds: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.promote is not None and (self.at_least is None) == (self.at_most is None):
            raise ValueError(
                "promote needs either at_least or at_most, which says which way is better"
            )
        bounded = self.at_least is not None or self.at_most is not None
        if bounded and self.metric is None:
            raise ValueError("a threshold needs the name of its metric")
        if self.metric is not None and not bounded:
            raise ValueError("a threshold on a metric needs at_least or at_most")
        return self


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

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic feature needs low above 0")
        return self


class LimitsSection(_Section):
    """What one evaluation of a candidate may use; per stage unless the stage says otherwise.

    Attributes:
        evaluator_seconds: wall seconds that evaluate.py may take on top of the candidate's, per
            evaluation, before it counts as hung.
    """

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
    evaluator_seconds: float = Field(default=300.0, gt=0)

    def limits(self) -> Limits:
        """The same limits as the plain value that a sandbox takes."""
        return Limits(**self.model_dump(exclude={"evaluator_seconds"}))


class BudgetSection(_Section):
    """Default budget of a run of this task."""

    minutes: float | None = Field(default=None, gt=0)
    evaluations: int | None = Field(default=None, gt=0)
    cpu_seconds: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    currency: float | None = Field(default=None, gt=0)


class ConstructionSection(_Section):
    """Whether the best artefact so far is handed to later programs.

    `verify` names the function of evaluate.py that takes a construction alone and returns the
    metrics it earns, computed exactly and from nothing else. `merit` names the metric by which
    parents are selected in place of the objectives: what a program achieves by itself. Champion
    and construction still go by the objectives.
    """

    carry: bool = True
    merit: str | None = None
    verify: str | None = None


class MeasuredSection(_Section):
    """The objective is a measured or sampled quantity: equal programs do not score equally.

    Candidates race: a challenger whose score exceeds the champion's is run again through `function`
    on fresh inputs and samples, in up to `heats` heats, and becomes champion only when these alone
    show it to be better.

    Attributes:
        metric: the objective; `function` gives its interval in `Result.intervals`.
        function: of evaluate.py, takes a candidate; must use nothing remembered from the search.
        ratio: whether values are ratios, compared on a logarithmic scale.
        heats: most fresh runs for one challenger.
        error: bound on the probability that a run in which no program is better crowns one.
    """

    metric: str
    function: str = "confirm"
    ratio: bool = True
    heats: int = Field(default=4, ge=1)
    error: float = Field(default=0.05, gt=0, lt=1)
    cpu_seconds: float | None = Field(default=None, gt=0)


class VerificationSection(_Section):
    """How `breeder verify` tries a champion: by rules that selection did not see.

    Attributes:
        function: of evaluate.py, takes a candidate; other shapes, extreme values, every output
            checked, measured from scratch. Returns the objectives (and their intervals).
        seeds: how many runs with fresh seeds, each in a fresh process.
    """

    function: str = "verify"
    seeds: int = Field(default=5, ge=1)
    cpu_seconds: float | None = Field(default=None, gt=0)


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
    measured: MeasuredSection | None = None
    verification: VerificationSection | None = None
    evaluator: str = "evaluate.py"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, names in (
            ("objective", [o.name for o in self.objective]),
            ("stage", [s.name for s in self.stage]),
            ("feature", [f.name for f in self.feature]),
            ("program.files", [*self.program.files, *self.program.readonly]),
        ):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"{what} {twice[0]!r} appears twice")
        if not self.stage:
            raise ValueError("stage needs at least one entry")
        if self.measured and self.measured.metric not in [o.name for o in self.objective]:
            raise ValueError(f"measured.metric {self.measured.metric!r} is no objective")
        if self.measured and len(self.objective) > 1:
            raise ValueError("a task with [measured] has one objective")
        return self


def parse(text: str) -> TaskFile:
    """Read and validate the text of a task.toml.

    Raises:
        TaskError: the first mistake in it; `mistakes` gives all of them.
    """
    found = mistakes(text)
    if found:
        raise found[0]
    return TaskFile.model_validate(tomllib.loads(text))


def mistakes(text: str) -> tuple[TaskError, ...]:
    """Return everything that is wrong in the text of a task.toml; empty when it is valid."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return (TaskError(FILE_NAME, "", f"is not valid TOML: {error}", "mend the syntax"),)
    try:
        TaskFile.model_validate(data)
    except ValidationError as error:
        details = error.errors()
        return tuple(_explain(detail) for detail in details if not _follows(detail, details))
    return ()


def _follows(error: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a list only counts as too short because its entries are wrong."""
    location = error["loc"]
    return error["type"] == "too_short" and any(
        len(other["loc"]) > len(location) and other["loc"][: len(location)] == location
        for other in errors
    )


def read(folder: Path) -> str:
    """Return the text of a folder's task.toml.

    Raises:
        TaskError: it cannot be read as UTF-8.
    """
    try:
        return (folder / FILE_NAME).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TaskError(FILE_NAME, "", "is not UTF-8", "save it as UTF-8") from None
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise TaskError(FILE_NAME, "", reason.lower(), "make it readable") from None


def _explain(error: Mapping[str, Any]) -> TaskError:
    location: Sequence[str | int] = error["loc"]
    key = ".".join(str(part) for part in location)
    kind = error["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return TaskError(FILE_NAME, key, "unknown key", _spelling(location))
    if kind == "missing":
        return TaskError(FILE_NAME, key, "is missing", "add it")
    if kind == "value_error":
        return TaskError(FILE_NAME, key, str(error["ctx"]["error"]), "correct it")
    if kind == "tuple_type" and isinstance(error["input"], dict):
        return TaskError(
            FILE_NAME, key, "is a table, but a list is needed", f"write [[{key}]] in two brackets"
        )
    message = error["msg"][:1].lower() + error["msg"][1:]
    shown = repr(error["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return TaskError(FILE_NAME, key, f"{message} (got {shown})", "correct it")


def _spelling(location: Sequence[str | int]) -> str:
    *path, key = location
    known = _known_keys(TaskFile, [part for part in path if isinstance(part, str)])
    close = difflib.get_close_matches(str(key), known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(known)}" if known else "remove it"


def _known_keys(section: type, path: Sequence[str]) -> list[str]:
    hints = typing.get_type_hints(section)
    names = [n for n in hints if not n.startswith("_") and n != "model_config"]
    if not path:
        return names
    inner = [t for t in _types_in(hints.get(path[0])) if hasattr(t, "__annotations__")]
    # A mapping such as program.functions has the user's own names as its keys.
    rest = path[2:] if typing.get_origin(hints.get(path[0])) is Mapping else path[1:]
    return _known_keys(inner[0], rest) if inner else []


def _types_in(hint: Any) -> list[type]:
    arguments = typing.get_args(hint)
    if not arguments:
        return [hint] if isinstance(hint, type) else []
    return [found for argument in arguments for found in _types_in(argument)]
