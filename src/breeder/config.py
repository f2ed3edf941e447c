"""RunConfig: everything that a run can be told, validated once, from TOML and flags."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from breeder.core import Budget
from breeder.errors import ConfigError

MODEL_FREE = ("syntax", "tuning", "recombination")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
            raise ValueError(f"unknown proposer {unknown}; choose from {', '.join(MODEL_FREE)}")
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
        ConfigError: file missing, not TOML, unknown key, wrong value; one line with file and key.
    """
    source = str(path) if path else "command line"
    data: dict[str, Any] = {**(defaults or {}), **(_read(path) if path else {})}
    for key, value in overrides.items():
        if value is None:
            continue
        *sections, last = key.split(".")
        target = data
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{source}: {section}: must be a table")
        target[last] = value
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{source}: {key}: unknown key; remove it or mend it") from None
        problem = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{source}: {key}: {problem} (got {first['input']!r})") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
