"""A construction with a verifier that stands alone, as a folder for people without breeder.

The verifier is the package's own: the problem's module and all of breeder's modules that it needs
are copied as they are, and verified with in a process without any installed package by a test.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from breeder.errors import UserError
from breeder.maths import achieved, sheets
from breeder.maths.achieved import Achievement, achievement
from breeder.maths.plain import PLAIN
from breeder.maths.problem import Problem

PACKAGE = Path(__file__).parents[1]
DIGITS = 20

# What is written in place of modules that the verifier does not need, or only parts of.
STANDINS = {
    "breeder/__init__.py": "",
    "breeder/maths/__init__.py": "",
    "breeder/evaluation/__init__.py": "",
    "breeder/evaluation/candidate.py": '''"""Part of breeder: what an invalid answer raises."""


class InvalidAnswerError(Exception):
    """An answer breaks the rules."""
''',
    "numpy/__init__.py": '''"""Stands in for NumPy: what comes out of JSON is never an array."""


class Absent:
    def __init__(self, *_, **__):
        raise RuntimeError("this needs NumPy")

    def __class_getitem__(cls, _):
        return cls


def __getattr__(name):
    return Absent
''',
    "numpy/typing.py": "from numpy import Absent as NDArray\n",
}

VERIFY = '''"""Recompute what a construction is worth. Needs Python 3.11 or later and nothing else.

Usage: python3 verify.py [FILE]
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "verifier"))

from breeder.maths.exact import decimal
from breeder.maths.files import parsed
from breeder.maths.refusal import RefusedError
from {module} import {name}

problem = {name}({parameters})
file = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "construction.json"
print(problem.name + ":", problem.statement)
try:
    found = problem.verify(parsed(file.read_bytes()))
except RefusedError as error:
    sys.exit(f"refused: {{error}}")
print("value", found.value.decimal({digits}))
print("at least", decimal(found.value.lower, {digits}, up=False))
print("at most", decimal(found.value.upper, {digits}, up=True))
print("SHA-256", found.digest)
'''

README = """# {name}

{statement}

`construction.json` is worth {value}{kind}. Check it with

    python3 verify.py

which needs Python 3.11 or later and nothing else: `verifier/` holds breeder's own verifier, version
{version}, as it is. Other constructions: `python3 verify.py FILE`.

* reached by: {by}
* CPU-hours of the search: {hours}
* best known: {best}
* SHA-256 of `construction.json`: {digest}

`lineage/` holds what breeder keeps of how it was found.
"""


def export(
    problem: Problem[Any], folder: Path, kind: str = "ours", source: Path = achieved.FOLDER
) -> Achievement:
    """Write construction, verifier and lineage of the best that was reached here.

    Args:
        problem: which.
        folder: where to; made here, with its parents.
        kind: `ours`, or `baseline` for the plain method.
        source: where the achievements are.

    Returns:
        What was exported, just verified.

    Raises:
        UserError: nothing was reached, or the folder holds something already.
        RefusedError: the construction that ships does not verify.
    """
    reached = achievement(problem, kind, source)
    if reached is None:
        raise UserError(f"{problem.name}: there is no construction of ours to export")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already and not empty; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "construction.json").write_bytes(reached.verified.encoded)
    write_verifier(problem, folder)
    shutil.copytree(
        source / problem.name,
        folder / "lineage",
        ignore=shutil.ignore_patterns("ours.json", "baseline.json", "__pycache__"),
    )
    (folder / "README.md").write_text(_readme(problem, reached), "utf-8")
    return reached


def write_verifier(problem: Problem[Any], folder: Path) -> None:
    """Write `verify.py` and the modules that it needs."""
    used = PLAIN.get(type(problem), type(problem))
    parameters = ", ".join(f"{name}={value}" for name, value in problem.parameters.items())
    (folder / "verify.py").write_text(
        VERIFY.format(
            module=used.__module__, name=used.__name__, parameters=parameters, digits=DIGITS
        ),
        "utf-8",
    )
    texts = dict(STANDINS)
    for module in needed({used.__module__, "breeder.maths.files"}):
        path = _path(module)
        texts[path.relative_to(PACKAGE.parent).as_posix()] = path.read_text("utf-8")
    sheet = sheets.FOLDER / f"{problem.family}.toml"
    if sheet.exists():
        texts[sheet.relative_to(PACKAGE.parent).as_posix()] = sheet.read_text("utf-8")
    for name, text in texts.items():
        path = folder / "verifier" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def needed(modules: set[str]) -> set[str]:
    """Return some of breeder's modules with all that they import, but for those replaced."""
    found: set[str] = set()
    while modules:
        module = modules.pop()
        if module not in found and _path(module).relative_to(PACKAGE.parent).as_posix() not in (
            STANDINS
        ):
            found.add(module)
            modules |= set(_imports(module))
    return found


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_path(module).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("breeder."):
            yield str(node.module)


def _path(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _readme(problem: Problem[Any], reached: Achievement) -> str:
    verified, best = reached.verified, problem.best
    return README.format(
        name=problem.name,
        statement=problem.statement,
        value=verified.value.decimal(DIGITS),
        kind="" if verified.value.exact else " (the certified end of a proved interval)",
        version=verified.version,
        by=reached.by,
        hours=f"{reached.cpu_seconds / 3600:.3f}",
        best="nothing" if best is None else f"{best.value} ({best.source}, {best.date})",
        digest=verified.digest,
    )
