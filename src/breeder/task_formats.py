"""Finds a task by path or name, and reads other tools' task folders as they are."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, NamedTuple

from breeder.core import Direction
from breeder.errors import TaskError
from breeder.task import (
    LANGUAGES,
    LimitsSection,
    ObjectiveSection,
    ProgramSection,
    StageSection,
    Task,
    TaskFile,
    TaskSection,
    load_native,
)
from breeder.task_file import FILE_NAME, BudgetSection

SCORE = "combined_score"

_SUITES = Path(__file__).parent / "suites"
# OpenEvolve's own defaults, for folders whose config.yaml does not say.
_TIMEOUT_SECONDS = 300.0
_CASCADE_THRESHOLDS = (0.5, 0.75, 0.9)
_SCRATCH_MIB = 256
# Their limits are wall time; an evaluator of several processes spends more CPU time than that.
_CORES = 4
_SHINKA_SETTINGS = ("task_sys_msg", "time", "num_generations")
_EVALUATOR_FOLDERS = ("", "evaluator", "evaluation", "eval")


class ShippedTask(NamedTuple):
    """A task that ships with breeder."""

    name: str
    goal: str
    folder: Path


def shipped() -> list[ShippedTask]:
    """Return the tasks that ship with breeder, by name."""
    found = []
    for path in sorted(_SUITES.rglob(FILE_NAME)):
        name = path.parent.relative_to(_SUITES).as_posix()
        section = tomllib.loads(path.read_text(encoding="utf-8")).get("task", {})
        found.append(ShippedTask(name, " ".join(section.get("goal", "").split()), path.parent))
    return found


def load(path_or_name: str | Path) -> Task:
    """Load a task from a folder of any known format, or a shipped one by name.

    A folder with task.toml is breeder's own; one with `evaluator.py` and `initial_program.*` is
    OpenEvolve's; one with `evaluate.py` and `initial.*` is ShinkaEvolve's. The evaluator may be
    in a sub-folder `evaluator`, `evaluation` or `eval`, and a sub-folder `initial_program` or
    `initial` may hold the initial program as its only file.

    Raises:
        TaskError: nothing of the kind is there, or what is there is wrong.
    """
    folder = Path(path_or_name)
    if folder.name == FILE_NAME and folder.is_file():
        folder = folder.parent
    if folder.is_dir():
        if (folder / FILE_NAME).is_file():
            return load_native(folder)
        for evaluator_name, stem, read in (
            ("evaluator.py", "initial_program", _load_openevolve),
            ("evaluate.py", "initial", _load_shinka),
        ):
            evaluator = _evaluator(folder, evaluator_name)
            initial = _initial(folder, stem) if evaluator else None
            if evaluator and initial:
                return read(folder, initial, evaluator)
    by_name = {task.name: task for task in shipped()}
    if str(path_or_name) in by_name:
        return load_native(by_name[str(path_or_name)].folder)
    raise _not_found(str(path_or_name), folder, list(by_name))


def _not_found(asked: str, folder: Path, names: list[str]) -> TaskError:
    looked_for = (
        "looked for task.toml, for evaluator.py with initial_program.*, "
        "and for evaluate.py with initial.*"
    )
    if folder.is_dir():
        return TaskError(asked, "", "holds no task", looked_for)
    what = "is a file, not a folder" if folder.exists() else "is neither a folder nor a task's name"
    return TaskError(asked, "", what, f"shipped tasks: {', '.join(names) or 'none'}")


def _evaluator(folder: Path, name: str) -> str | None:
    candidates = [Path(place, name) for place in _EVALUATOR_FOLDERS]
    return next((str(path) for path in candidates if (folder / path).is_file()), None)


def _initial(folder: Path, stem: str) -> str | None:
    """Path of the initial program: `stem.*`, a known language first, then by name.

    Raises:
        TaskError: it is a folder of several files.
    """
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.stem == stem and path.suffix and path.is_file()
    )
    known = [name for name in names if Path(name).suffix in LANGUAGES]
    found = next(iter([*known, *names]), None)
    if found is None and (folder / stem).is_dir():
        inside = sorted(p for p in (folder / stem).iterdir() if not p.name.startswith((".", "_")))
        if len(inside) != 1 or not inside[0].is_file():
            raise TaskError(
                stem,
                "",
                "is a folder of several files, but evaluators are given one",
                f"put what the evaluator expects into one file {stem}.*",
            )
        found = f"{stem}/{inside[0].name}"
    return found


class _Reading(NamedTuple):
    """What a foreign folder amounts to."""

    kind: Literal["openevolve", "shinka"]
    initial: str
    evaluator: str
    goal: str
    stages: tuple[StageSection, ...]
    timeout: float = _TIMEOUT_SECONDS
    evaluations: int | None = None


def _load_openevolve(folder: Path, initial: str, evaluator: str) -> Task:
    file, config = openevolve_settings(folder)
    goal = _section(config, "prompt").get("system_message")
    settings = _section(config, "evaluator")
    reading = _Reading(
        "openevolve",
        initial,
        evaluator,
        goal if isinstance(goal, str) else "",
        _openevolve_stages(folder / evaluator, settings, file),
        _number(settings, "timeout", file, "evaluator.timeout", _TIMEOUT_SECONDS),
        int(_number(config, "max_iterations", file, "max_iterations", 0)) or None,
    )
    return _task(folder, reading)


def openevolve_settings(folder: Path) -> tuple[str, dict[str, Any]]:
    """Name and content of the configuration of an OpenEvolve folder.

    Raises:
        TaskError: it is not valid.
    """
    path = _config_file(folder)
    return path.name, read_yaml(path)


def _config_file(folder: Path) -> Path:
    """config.yaml, or else the first `config*.yaml` by name: some folders have one per phase."""
    found = sorted([*folder.glob("config*.yaml"), *folder.glob("config*.yml")])
    usual = folder / "config.yaml"
    return usual if usual.is_file() or not found else found[0]


def _load_shinka(folder: Path, initial: str, evaluator: str) -> Task:
    stages = (StageSection(name="evaluate"),)
    settings = _shinka_settings(folder / "run_evo.py")
    goal, generations = settings.get("task_sys_msg"), settings.get("num_generations")
    reading = _Reading(
        "shinka",
        initial,
        evaluator,
        goal if isinstance(goal, str) else "",
        stages,
        _shinka_seconds(settings.get("time")) or _TIMEOUT_SECONDS,
        generations if isinstance(generations, int) and generations > 0 else None,
    )
    return _task(folder, reading)


def _task(folder: Path, reading: _Reading) -> Task:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-._") or "task"
    goal = f"Change {reading.initial} so that {reading.evaluator} gives it a higher score."
    file = TaskFile(
        task=TaskSection(name=name, goal=reading.goal.strip() or goal),
        # Without markers the whole file is evolved, as these tools do.
        program=ProgramSection(files=(reading.initial,), evolve="whole"),
        objective=(ObjectiveSection(name=SCORE, direction=Direction.MAXIMIZE),),
        stage=reading.stages,
        limits=LimitsSection(
            cpu_seconds=reading.timeout * _CORES,
            wall_seconds=reading.timeout,
            memory_mib=4096,
            scratch_mib=_SCRATCH_MIB,
            file_mib=_SCRATCH_MIB,
            processes=64,
            output_kib=1024,
        ),
        budget=BudgetSection(evaluations=reading.evaluations),
        evaluator=reading.evaluator,
    )
    return Task(folder, file, kind=reading.kind)


def _openevolve_stages(
    evaluator: Path, config: dict[str, Any], file: str
) -> tuple[StageSection, ...]:
    defined = _functions(evaluator)
    if config.get("cascade_evaluation", True) and "evaluate_stage1" in defined:
        given = config.get("cascade_thresholds", _CASCADE_THRESHOLDS)
        try:
            thresholds = [float(value) for value in given]
        except (TypeError, ValueError):
            raise TaskError(
                file, "evaluator.cascade_thresholds", "is not a list of numbers", "mend it"
            ) from None
        names = [f"evaluate_stage{n}" for n in (1, 2, 3)]
        names = names[: next((i for i, name in enumerate(names) if name not in defined), 3)]
        names = names[: len(thresholds) + 1]  # no stage is entered without a threshold to pass
        bounds = [*thresholds[: len(names) - 1], *[None] * len(names)]
        return tuple(
            StageSection(name=name.removeprefix("evaluate_"), function=name)
            if bound is None
            else StageSection(
                name=name.removeprefix("evaluate_"), function=name, metric=SCORE, at_least=bound
            )
            for name, bound in zip(names, bounds, strict=False)
        )
    if "evaluate" not in defined:
        raise TaskError(
            evaluator.name, "", "has no function 'evaluate'", "write evaluate(program_path)"
        )
    return (StageSection(name="evaluate"),)


def _functions(path: Path) -> set[str]:
    tree = parse_python(path)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in tree.body if isinstance(node, functions)}
    # `from other import evaluate` and `evaluate = other` define it as well.
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def parse_python(path: Path) -> ast.Module:
    """Parse a foreign Python file.

    Raises:
        TaskError: it is not valid.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}" if line else ""
        reason = getattr(error, "msg", None) or "is not UTF-8"
        raise TaskError(path.name, where, str(reason), "mend it") from None


def _shinka_settings(path: Path) -> dict[str, Any]:
    """What run_evo.py states literally: the task's message, time limit and generations."""
    settings: dict[str, Any] = {}
    if not path.is_file():
        return settings
    for node in ast.walk(parse_python(path)):
        name, value = "", None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named = node.targets[0].id.lower()
            name, value = "task_sys_msg" if named.endswith("task_sys_msg") else "", node.value
        elif isinstance(node, ast.keyword):
            name, value = node.arg or "", node.value
        if name in _SHINKA_SETTINGS and isinstance(value, ast.Constant):
            settings.setdefault(name, value.value)
    return settings


def _shinka_seconds(text: Any) -> float | None:
    """Seconds of a time limit `HH:MM:SS`; None for anything else."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+)", text) if isinstance(text, str) else None
    if match is None:
        return None
    hours, minutes, seconds = map(int, match.groups())
    return float(3600 * hours + 60 * minutes + seconds) or None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; empty where there is no file.

    Raises:
        TaskError: it is not valid, or PyYAML is not installed.
    """
    if not path.is_file():
        return {}
    try:
        import yaml
    except ImportError:
        raise TaskError(
            path.name, "", "needs PyYAML to be read", "pip install 'breeder[foreign]'"
        ) from None
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = " ".join(str(error).split())
        raise TaskError(path.name, "", f"is not valid YAML: {first}", "mend the syntax") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise TaskError(path.name, "", "is not a mapping", "write `key: value` lines")
    return data


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _number(config: dict[str, Any], name: str, file: str, key: str, default: float) -> float:
    value = config.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise TaskError(file, key, f"must be a number above 0, not {value!r}", "mend it")
    return float(value)
