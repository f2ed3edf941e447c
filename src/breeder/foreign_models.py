"""The language models that an OpenEvolve or ShinkaEvolve folder names, as `[[model]]` entries.

They propose when asked for (`--model task`), never by themselves: running somebody's folder must
not send anything to anybody. Keys stay in the environment; a key written into such a file is
refused and goes nowhere.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from breeder.config import RunConfig, model_entry
from breeder.errors import ConfigError, TaskError
from breeder.proposers.llm.settings import ModelConfig
from breeder.task import Task
from breeder.task_formats import openevolve_settings, parse_python, read_yaml

TASK = "task"
"""The spec that stands for every model that the task's folder names."""

_KEY = "OPENAI_API_KEY"
_ADDRESS = "OPENAI_BASE_URL"
_LOCAL_KEY = "LOCAL_OPENAI_API_KEY"
# What servers that want no key are commonly told; anything else may be a real one.
_NO_KEY = re.compile(r"(?i)(none|empty|dummy|no-?key|not-?needed|x+|ollama|local)?")
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_SHINKA_FILES = ("run_evo.py", "shinka.yaml", "shinka*.yaml")


def with_task_models(
    config: RunConfig, task: Task, specs: Sequence[str]
) -> tuple[RunConfig, list[str]]:
    """Replace the spec `task` by the models that the task's folder names, and add their entries.

    Raises:
        ConfigError: the folder names none, or an entry is not usable; one line.
        TaskError: a file of the folder is wrong.
    """
    if TASK not in specs or any(entry.name == TASK for entry in config.model):
        return config, list(specs)
    found = task_models(task)
    if twice := {one.name for one in found} & {one.name for one in config.model}:
        raise ConfigError(f"--model {TASK}: {min(twice)!r} is among the [[model]] entries already")
    names = [one.name for one in found]
    chosen = [name for spec in specs for name in (names if spec == TASK else [spec])]
    return config.model_copy(update={"model": (*config.model, *found)}), chosen


def task_models(task: Task) -> tuple[ModelConfig, ...]:
    """The models that a foreign folder names.

    Of weights nothing is taken: models share the budget by what they bring.

    Raises:
        ConfigError: it names none, or an entry is not usable.
        TaskError: a file is wrong, or holds a key.
    """
    readers = {"openevolve": _openevolve, "shinka": _shinka}
    if task.kind not in readers:
        raise ConfigError(f"--model {TASK}: is for folders of OpenEvolve and ShinkaEvolve")
    entries = readers[task.kind](task.folder)
    if not entries:
        raise ConfigError(f"--model {TASK}: {task.folder} names no language model")
    return tuple(model_entry(entry) for entry in _distinct(entries))


def _openevolve(folder: Path) -> list[dict[str, Any]]:
    """Entries of `llm` in config.yaml; what `llm` says holds for models that do not say it."""
    file, config = openevolve_settings(folder)
    shared = config.get("llm")
    if not isinstance(shared, dict):
        return []
    listed = shared.get("models") or []
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise TaskError(file, "llm.models", "is not a list of mappings", "mend it")
    models = [one for one in listed if one.get("weight", 1) != 0]
    for which in ("primary_model", "secondary_model"):
        if shared.get(which) and shared.get(f"{which}_weight", 1) != 0:
            models.append({"name": shared[which]})
    return [_openevolve_entry({**shared, **_stated(model)}, file) for model in models]


def _openevolve_entry(given: Mapping[str, Any], file: str) -> dict[str, Any]:
    name = given.get("name")
    if not isinstance(name, str) or not name:
        raise TaskError(file, "llm.models", "a model has no name", "name it")
    provider = given.get("provider")
    if provider not in (None, "openai"):
        raise TaskError(
            file, "llm.provider", f"{provider!r} is not supported", "name an OpenAI-compatible one"
        )
    endpoint = given.get("api_base") or os.environ.get(_ADDRESS)
    if not isinstance(endpoint, str):
        raise TaskError(
            file, "llm.api_base", "is missing", f"state it there, or in the variable {_ADDRESS}"
        )
    retries, effort = given.get("retries"), given.get("reasoning_effort")
    entry = {
        "name": _name(name),
        "model": name,
        "endpoint": endpoint,
        "key_env": _key_variable(given.get("api_key"), endpoint, file),
        "temperature": given.get("temperature"),
        "top_p": given.get("top_p"),
        "max_tokens": given.get("max_tokens"),
        "timeout": given.get("timeout"),
        "attempts": retries + 1 if isinstance(retries, int) else None,
        "extra": {"reasoning_effort": effort} if effort else None,
    }
    return _stated(entry)


def _key_variable(key: Any, endpoint: str, file: str) -> str:
    """Name of the environment variable that holds the key; '' for none."""
    if key is None:
        return _KEY if endpoint.startswith("https:") or os.environ.get(_KEY) else ""
    reference = _VARIABLE.fullmatch(str(key))
    if reference is not None:
        return reference[1]
    if _NO_KEY.fullmatch(str(key)):
        return ""
    # Not shown, not kept: neither here nor in the run's store.
    raise TaskError(
        file,
        "llm.api_key",
        "holds a key",
        f"put the key into an environment variable and write ${{{_KEY}}} in its place",
    )


def _shinka(folder: Path) -> list[dict[str, Any]]:
    """Entries of `llm_models` and `llm_kwargs`, in run_evo.py (read, never run) or YAML."""
    for pattern in _SHINKA_FILES:
        for path in sorted(folder.glob(pattern)):
            settings = _literals(path) if path.suffix == ".py" else _flat(read_yaml(path))
            names, how = settings.get("llm_models"), settings.get("llm_kwargs")
            if isinstance(names, list | tuple) and names:
                options = _shinka_options(how if isinstance(how, Mapping) else {})
                return [{**_shinka_entry(str(name), path.name), **options} for name in names]
    return []


def _shinka_entry(name: str, file: str) -> dict[str, Any]:
    """A model of ShinkaEvolve: `local/MODEL@ADDRESS`, or an id at an endpoint of the environment.

    `?api_key_env=NAME` behind the address names the variable with its key.
    """
    local = re.fullmatch(r"(?:local/)?(?P<id>[^@]+)@(?P<address>https?://[^?]+)(?:\?(.*))?", name)
    if local is not None:
        variable = re.search(r"(?:^|&)api_key_env=([^&]+)", local[3] or "")
        usual = _LOCAL_KEY if os.environ.get(_LOCAL_KEY) else ""
        key = variable[1] if variable else usual
        return _stated(
            {
                "name": _name(local["id"]),
                "model": local["id"],
                "endpoint": local["address"],
                "key_env": key,
            }
        )
    endpoint = os.environ.get(_ADDRESS)
    if not endpoint:
        raise TaskError(
            file,
            "llm_models",
            f"{name!r} does not say where it is",
            f"state the endpoint in the variable {_ADDRESS}, or write local/MODEL@ADDRESS",
        )
    key = _KEY if endpoint.startswith("https:") or os.environ.get(_KEY) else ""
    return {"name": _name(name), "model": name, "endpoint": endpoint, "key_env": key}


def _shinka_options(how: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for every model. Of lists, from which ShinkaEvolve draws, the middle is taken."""
    temperature, tokens = _middle(how.get("temperatures")), _middle(how.get("max_tokens"))
    effort = _middle(how.get("reasoning_efforts"))
    return _stated(
        {
            "temperature": temperature,
            "max_tokens": tokens,
            "extra": {"reasoning_effort": effort} if effort not in (None, "auto") else None,
        }
    )


def _middle(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return value[len(value) // 2] if value else None


def _literals(path: Path) -> dict[str, Any]:
    """`llm_models` and `llm_kwargs` as far as run_evo.py states them literally."""
    found: dict[str, Any] = {}
    for node in ast.walk(parse_python(path)):
        for name, value in _named(node):
            if name in ("llm_models", "llm_kwargs") and name not in found:
                literal = _literal(value)
                found |= {} if literal is None else {name: literal}
    return found


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        yield node.targets[0].id, node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _literal(node: ast.expr) -> Any:
    """The value of a literal, `dict(...)` of literals included; None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {one.arg: _literal(one.value) for one in node.keywords if one.arg}
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a mapping and of the sections in it; the outer ones win."""
    sections = (value for value in data.values() if isinstance(value, dict))
    inner = {key: value for section in sections for key, value in section.items()}
    return {**inner, **data}


def _distinct(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries with names of their own; one that is listed twice is one."""
    kept: list[dict[str, Any]] = []
    for entry in entries:
        if entry in kept:
            continue
        taken = {one["name"] for one in kept}
        names = (entry["name"], *(f"{entry['name']}-{i}" for i in range(2, 999)))
        kept.append({**entry, "name": next(name for name in names if name not in taken)})
    return kept


def _name(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", model).strip("-._")[:48] or "model"


def _stated(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None}
