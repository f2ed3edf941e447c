"""Finds, before a run starts, what another tool's folder imports and the sandbox will not have."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

from breeder.errors import TaskError

_PACKAGES: Mapping[str, str] = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dotenv": "python-dotenv",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Packages whose names differ from what is imported."""

_CATCHING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class _Import(NamedTuple):
    """An import that is carried out when its file is: dotted name, file and line."""

    module: str
    file: str
    line: int


def require_imports(
    files: Mapping[str, str | bytes], entries: Sequence[str], shims: Sequence[str]
) -> None:
    """Check the unconditional imports of `entries` and of the folder's modules that they reach.

    Imports inside functions and those guarded by `try` may be optional and are left to run.

    Args:
        files: path -> content of the folder.
        entries: Python files that are run, as paths in `files`; other languages are skipped.
        shims: dotted names of the stand-in modules that the sandbox offers.

    Raises:
        TaskError: one line with all packages that are missing and the command that installs them,
            or with the part of another tool that has no stand-in.
    """
    stand_ins = {name.split(".")[0] for name in shims}
    local = {part.removesuffix(".py") for path in files for part in PurePath(path).parts}
    missing: dict[str, _Import] = {}
    for found in _reached(files, entries):
        top = found.module.split(".")[0]
        if top in stand_ins:
            _require_stand_in(found, shims)
        elif top not in local and top not in missing and not _installed(top):
            missing[top] = found
    if missing:
        first = next(iter(missing.values()))
        packages = " ".join(_PACKAGES.get(name, name) for name in missing)
        names = " and ".join(repr(name) for name in missing)
        raise TaskError(
            first.file,
            f"line {first.line}",
            f"imports {names}, not installed where breeder runs",
            f"install with: {sys.executable} -m pip install {packages}",
        )


def _require_stand_in(found: _Import, shims: Sequence[str]) -> None:
    if found.module not in shims:
        raise TaskError(
            found.file,
            f"line {found.line}",
            f"needs {found.module}, which evaluators in the sandbox do not get",
            f"they get {', '.join(shims)}",
        )


def _installed(top: str) -> bool:
    if top in sys.stdlib_module_names:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _reached(files: Mapping[str, str | bytes], entries: Sequence[str]) -> Iterator[_Import]:
    by_name = {PurePath(path).stem: path for path in files if path.endswith(".py")}
    waiting = [name for name in entries if name.endswith(".py")]
    seen: set[str] = set()
    while waiting:
        file = waiting.pop(0)
        if file in seen:
            continue
        seen.add(file)
        for found in _imports(files[file], file):
            yield found
            neighbour = by_name.get(found.module.split(".")[-1])
            if neighbour is not None:
                waiting.append(neighbour)


def _imports(content: str | bytes, file: str) -> Iterator[_Import]:
    try:
        waiting: list[ast.stmt] = list(ast.parse(content).body)
    except (SyntaxError, ValueError):
        return  # running it says more than could be said here
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(alias.name, file, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield _Import(node.module, file, node.lineno)
        elif isinstance(node, ast.Try):
            waiting += [] if _guards(node) else node.body
        elif isinstance(node, ast.With):
            waiting += node.body


def _guards(node: ast.Try) -> bool:
    for handler in node.handlers:
        if handler.type is None:
            return True
        names = {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
        if names & _CATCHING:
            return True
    return False
