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
    OpenEvolve's; one with `evaluate.py` and `initial.*` is ShinkaEvolve's.

    Raises:
        TaskError: nothing of the kind is there, or what is there is wrong.
    """
    folder = Path(path_or_name)
    if folder.name == FILE_NAME and folder.is_file():
        folder = folder.parent
    if folder.is_dir():
        if (folder / FILE_NAME).is_file():
            return load_native(folder)
        if (folder / "evaluator.py").is_file() and _initial(folder, "initial_program"):
            return _load_openevolve(folder)
        if (folder / "evaluate.py").is_file() and _initial(folder, "initial"):
            return _load_shinka(folder)
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


def _initial(folder: Path, stem: str) -> str | None:
    """Name of the initial program: `stem.*`, a known language first, then by name."""
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.stem == stem and path.suffix and path.is_file()
    )
    known = [name for name in names if Path(name).suffix in LANGUAGES]
    return next(iter([*known, *names]), None)


class _Reading(NamedTuple):
    """What a foreign folder amounts to."""

    kind: Literal["openevolve", "shinka"]
    initial: str
    evaluator: str
    goal: str
    stages: tuple[StageSection, ...]
    timeout: float = _TIMEOUT_SECONDS
    evaluations: int | None = None


def _load_openevolve(folder: Path) -> Task:
    config = _read_yaml(folder / "config.yaml")
    initial = _initial(folder, "initial_program") or ""
    goal = _section(config, "prompt").get("system_message")
    evaluator = _section(config, "evaluator")
    reading = _Reading(
        "openevolve",
        initial,
        "evaluator.py",
        goal if isinstance(goal, str) else "",
        _openevolve_stages(folder / "evaluator.py", evaluator),
        _number(evaluator, "timeout", "evaluator", _TIMEOUT_SECONDS),
        int(_number(config, "max_iterations", "", 0)) or None,
    )
    return _task(folder, reading)


def _load_shinka(folder: Path) -> Task:
    stages = (StageSection(name="evaluate"),)
    goal = _shinka_goal(folder / "run_evo.py")
    initial = _initial(folder, "initial") or ""
    return _task(folder, _Reading("shinka", initial, "evaluate.py", goal, stages))


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
            cpu_seconds=reading.timeout,
            wall_seconds=reading.timeout,
            memory_mib=4096,
            scratch_mib=_SCRATCH_MIB,
            processes=64,
            output_kib=1024,
        ),
        budget=BudgetSection(evaluations=reading.evaluations),
        evaluator=reading.evaluator,
    )
    return Task(folder, file, kind=reading.kind)


def _openevolve_stages(evaluator: Path, config: dict[str, Any]) -> tuple[StageSection, ...]:
    defined = _functions(evaluator)
    if config.get("cascade_evaluation", True) and "evaluate_stage1" in defined:
        given = config.get("cascade_thresholds", _CASCADE_THRESHOLDS)
        try:
            thresholds = [float(value) for value in given]
        except (TypeError, ValueError):
            raise TaskError(
                "config.yaml", "evaluator.cascade_thresholds", "is not a list of numbers", "mend it"
            ) from None
        names = [f"evaluate_stage{n}" for n in (1, 2, 3)]
        names = names[: next((i for i, name in enumerate(names) if name not in defined), 3)]
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
    tree = _parse(path)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in tree.body if isinstance(node, functions)}
    # `from other import evaluate` and `evaluate = other` define it as well.
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}" if line else ""
        reason = getattr(error, "msg", None) or "is not UTF-8"
        raise TaskError(path.name, where, str(reason), "mend it") from None


def _shinka_goal(path: Path) -> str:
    """The task's system message, where run_evo.py states it as a plain text."""
    if not path.is_file():
        return ""
    for node in ast.walk(_parse(path)):
        value: ast.expr | None = None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named = node.targets[0].id.endswith("task_sys_msg")
            value = node.value if named else None
        if isinstance(node, ast.keyword) and node.arg == "task_sys_msg":
            value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""


def _read_yaml(path: Path) -> dict[str, Any]:
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


def _number(config: dict[str, Any], name: str, section: str, default: float) -> float:
    value = config.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        key = f"{section}.{name}" if section else name
        raise TaskError("config.yaml", key, f"must be a number above 0, not {value!r}", "mend it")
    return float(value)
