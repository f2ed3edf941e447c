"""RunConfig: everything that a run can be told, validated once, from TOML and flags."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from breeder.core import Budget
from breeder.errors import ConfigError

MODEL_FREE = ("syntax", "tuning", "recombination")
MATCHED = ("random search", "tuned start", "repeated start")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BudgetConfig(_Section):
    """When to stop. Unset limits come from the task; with none anywhere, 10 minutes."""

    minutes: float | None = Field(default=None, gt=0)
    evaluations: int | None = Field(default=None, gt=0)
    cpu_seconds: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    currency: float | None = Field(default=None, gt=0)

    def budget(self) -> Budget:
        """The limits as the engine's value."""
        return Budget(**self.model_dump())


class SearchConfig(_Section):
    """How the engine searches.

    Attributes:
        proposers: names of the proposers that share the budget.
        islands: number of islands.
        inspirations: how many other elites a proposer is shown.
        plateau: stop after this many evaluations without a better champion.
        ahead: proposals prepared beyond the busy slots; None adapts to the measured latency of
            proposing (0 with one slot, so that a run with one slot can be repeated exactly).
    """

    proposers: tuple[str, ...] = MODEL_FREE
    islands: int = Field(default=2, ge=1, le=64)
    inspirations: int = Field(default=4, ge=0, le=32)
    plateau: int | None = Field(default=None, gt=0)
    ahead: int | None = Field(default=None, ge=0)

    @field_validator("proposers")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in MODEL_FREE]
        if unknown or not names:
            what = f"unknown proposer {unknown[0]!r}" if unknown else "names no proposer"
            raise ValueError(f"{what}; choose from {', '.join(MODEL_FREE)}")
        return tuple(dict.fromkeys(names))


class RunConfig(_Section):
    """One run.

    Attributes:
        seed: seed of every random choice.
        slots: evaluations that run at the same time; the command line gives one per core.
        sandbox: how candidates are isolated.
        baselines: True for every matched baseline, or their names; see `matched`.
        budget: when to stop.
        search: how to search.
    """

    seed: int = Field(default=0, ge=0)
    slots: int = Field(default=2, ge=1, le=1024)
    sandbox: Literal["bubblewrap", "none"] = "bubblewrap"
    baselines: bool | tuple[str, ...] = False
    budget: BudgetConfig = BudgetConfig()
    search: SearchConfig = SearchConfig()

    @field_validator("baselines")
    @classmethod
    def _known(cls, wanted: bool | tuple[str, ...]) -> bool | tuple[str, ...]:  # noqa: FBT001
        unknown = [] if isinstance(wanted, bool) else [n for n in wanted if n not in MATCHED]
        if unknown:
            raise ValueError(f"unknown baseline {unknown[0]!r}; choose from {', '.join(MATCHED)}")
        return wanted


def load_config(
    path: Path | None,
    overrides: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Read a TOML file, put the flags over it, validate.

    Args:
        path: the file, or None for defaults only.
        overrides: dotted key -> value; None values are ignored.
        defaults: top-level key -> value where neither file nor flags say anything.

    Raises:
        ConfigError: file missing, not TOML, unknown key, wrong value; one line that names the flag,
            or file and key.
    """
    data: dict[str, Any] = {**(defaults or {}), **(_read(path) if path else {})}
    for key, value in overrides.items():
        if value is None:
            continue
        *sections, last = key.split(".")
        target = data
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{path}: {section}: must be a table")
        target[last] = value
    flags = {key for key, value in overrides.items() if value is not None}
    return _validated(data, path, flags)


def extended(config: RunConfig, more: Mapping[str, float | int | None]) -> RunConfig:
    """Return `config` with some of its limits raised.

    Args:
        config: the configuration of an existing run, its limits in force.
        more: name of a limit -> its new value; None leaves it as it is.

    Raises:
        ConfigError: a value is not above the limit in force, or there is no such limit.
    """
    limits = {k: v for k, v in config.budget.model_dump().items() if v is not None}
    for name, value in more.items():
        if value is None:
            continue
        if name not in limits:
            known = ", ".join(f"{_flag(k)} {v:g}" for k, v in limits.items())
            raise ConfigError(f"{_flag(name)}: the run has no such limit; it has {known}")
        if not value > limits[name]:
            raise ConfigError(
                f"{_flag(name)}: must be above {limits[name]:g}, the run's limit (got {value:g})"
            )
    raised = {f"budget.{name}": value for name, value in more.items() if value is not None}
    budget = {**limits, **{key.partition(".")[2]: value for key, value in raised.items()}}
    return _validated({**config.model_dump(), "budget": budget}, None, set(raised))


def _validated(data: Mapping[str, Any], path: Path | None, flags: Set[str]) -> RunConfig:
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    flag = next((name for name in flags if name == key or key.startswith(f"{name}.")), None)
    where = f"{path}: {key}" if flag is None else _flag(flag)
    if first["type"] == "extra_forbidden":
        raise ConfigError(f"{where}: {_spelling(first['loc'])}")
    if first["type"] == "value_error":
        raise ConfigError(f"{where}: {first['ctx']['error']}")
    problem = first["msg"].replace("Input should", "must", 1)
    raise ConfigError(f"{where}: {problem} (got {first['input']!r})")


def _flag(key: str) -> str:
    """The option of the command line that sets a key."""
    return "--" + key.rpartition(".")[2].replace("_", "-")


def _spelling(location: Sequence[int | str]) -> str:
    section: type[_Section] = RunConfig
    for part in location[:-1]:
        sections: dict[str, type[_Section]] = {"budget": BudgetConfig, "search": SearchConfig}
        section = sections[str(part)]
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return f"unknown key; {remedy}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
