"""RunConfig: everything that a run can be told, validated once, from TOML and flags."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from breeder.core import Budget
from breeder.errors import ConfigError
from breeder.proposers.llm.settings import ModelConfig, Prices

MODEL_FREE = ("syntax", "tuning", "recombination")
MATCHED = ("random search", "tuned start", "repeated start", "best of N")


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
        models: which language models propose: names of `[[model]]` entries, `local`, `local:NAME`
            or `local:PATH`; every entry if unset.
        evolve: parents are drawn from what was found; off: always the start, for ablations.
        context: prompts hold goal and feedback of the task; off for ablations.
        meta_prompts: instructions in prompts evolve; off: one plain instruction.
        reflection: critiques of what worked and what failed are written and fed to later prompts.
    """

    proposers: tuple[str, ...] = MODEL_FREE
    islands: int = Field(default=2, ge=1, le=64)
    inspirations: int = Field(default=4, ge=0, le=32)
    plateau: int | None = Field(default=None, gt=0)
    ahead: int | None = Field(default=None, ge=0)
    models: tuple[str, ...] | None = None
    evolve: bool = True
    context: bool = True
    meta_prompts: bool = True
    reflection: bool = True

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
        model: the language models that propose, as `[[model]]` entries.
    """

    seed: int = Field(default=0, ge=0)
    slots: int = Field(default=2, ge=1, le=1024)
    sandbox: Literal["bubblewrap", "none"] = "bubblewrap"
    baselines: bool | tuple[str, ...] = False
    budget: BudgetConfig = BudgetConfig()
    search: SearchConfig = SearchConfig()
    model: tuple[ModelConfig, ...] = ()

    @field_validator("model")
    @classmethod
    def _distinct(cls, models: tuple[ModelConfig, ...]) -> tuple[ModelConfig, ...]:
        names = [model.name for model in models]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the name {twice[0]!r} is given twice")
        return models

    @model_validator(mode="after")
    def _has_its_models(self) -> RunConfig:
        known = [model.name for model in self.model]
        for name in self.search.models or ():
            if name not in known and not _is_local(name):
                listed = f"known here: {', '.join(known)}" if known else "there are no entries"
                raise ValueError(f"search.models: no [[model]] entry is called {name!r}; {listed}")
        return self

    def local_models(self) -> tuple[str, ...]:
        """The local models among those that propose."""
        return tuple(name for name in self.search.models or () if _is_local(name))

    def endpoints(self) -> tuple[ModelConfig, ...]:
        """The `[[model]]` entries that propose, in order."""
        chosen = self.search.models
        return tuple(m for m in self.model if chosen is None or m.name in chosen)

    @field_validator("baselines")
    @classmethod
    def _known(cls, wanted: bool | tuple[str, ...]) -> bool | tuple[str, ...]:  # noqa: FBT001
        unknown = [] if isinstance(wanted, bool) else [n for n in wanted if n not in MATCHED]
        if unknown:
            raise ValueError(f"unknown baseline {unknown[0]!r}; choose from {', '.join(MATCHED)}")
        return wanted


def _is_local(name: str) -> bool:
    return name == "local" or name.startswith("local:")


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


def model_entry(data: Mapping[str, Any]) -> ModelConfig:
    """One `[[model]]` entry from a dictionary.

    Raises:
        ConfigError: as `load_config`; one line that names the model and the key.
    """
    return _validated({"model": [dict(data)]}, None, set()).model[0]


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
        # A misspelt key is also a missing one; the spelling is what helps.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    if not first["loc"]:
        told = str(first["ctx"]["error"])
        raise ConfigError(f"{path}: {told}" if path else told)
    key = _key(first["loc"], data)
    flag = next((name for name in flags if name == key or key.startswith(f"{name}.")), None)
    where = _flag(flag) if flag is not None else f"{path}: {key}" if path else key
    if first["type"] == "extra_forbidden":
        raise ConfigError(f"{where}: {_spelling(first['loc'])}")
    if first["type"] == "value_error":
        raise ConfigError(f"{where}: {first['ctx']['error']}")
    if first["type"] == "missing":  # what is there instead is not shown: a key may be among it
        raise ConfigError(f"{where}: is missing")
    if first["loc"] == ("model",):
        raise ConfigError(f"{where}: write each model as a [[model]] table")
    problem = first["msg"].replace("Input should", "must", 1)
    raise ConfigError(f"{where}: {problem} (got {first['input']!r})")


def _key(location: Sequence[int | str], data: Mapping[str, Any]) -> str:
    """Where a mistake is, for people: a model is told by its name where it has one."""
    parts = [str(part) for part in location]
    if len(location) > 1 and location[0] == "model" and isinstance(location[1], int):
        entry = data["model"][location[1]]
        name = entry.get("name") if isinstance(entry, Mapping) else None
        which = repr(name) if isinstance(name, str) and name else str(location[1] + 1)
        return ": ".join(filter(None, (f"model {which}", ".".join(parts[2:]))))
    return ".".join(parts)


def _flag(key: str) -> str:
    """The option of the command line that sets a key."""
    return "--" + key.rpartition(".")[2].replace("_", "-")


def _spelling(location: Sequence[int | str]) -> str:
    section: type[BaseModel] = RunConfig
    sections: dict[str, type[BaseModel]] = {
        "budget": BudgetConfig,
        "search": SearchConfig,
        "model": ModelConfig,
        "prices": Prices,
    }
    for part in location[:-1]:
        section = section if isinstance(part, int) else sections[part]
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
