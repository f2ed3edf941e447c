"""Capture: the source text of functions together with what they need to run in another process."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import sysconfig
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from breeder.errors import UserError

HEADER = "from __future__ import annotations\n"
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_BOXES = (list, tuple, set, frozenset)


def capture(functions: Sequence[Callable[..., Any]]) -> str:
    """The text of a module that defines functions of this process anew.

    A function comes with what it uses, looked up by name: modules and what was imported from
    installed packages become imports; functions and classes of the user's own are taken along as
    text; numbers, texts and collections of them are written out. Annotations are never evaluated.

    Raises:
        UserError: a function has no source, or uses something that cannot be written down.
    """
    needs, texts = _gather(functions)
    return "\n".join([HEADER, *needs]) + "\n\n\n" + "\n\n\n".join(texts) + "\n"


def capture_program(function: Callable[..., Any]) -> str:
    """As `capture`, for one function that is to be evolved: it stands between the markers.

    Raises:
        UserError: as `capture`.
    """
    needs, texts = _gather([function])
    *helpers, own = texts
    head = "\n".join([HEADER, *needs]) + "\n\n\n" + "".join(f"{text}\n\n\n" for text in helpers)
    return f"{head}# EVOLVE-BLOCK-START\n{own}\n\n\n# EVOLVE-BLOCK-END\n"


def _gather(functions: Sequence[Callable[..., Any]]) -> tuple[list[str], list[str]]:
    """Imports and constants, and the texts of definitions, what is used before its users."""
    collector = _Collector()
    for function in functions:
        if not isinstance(function, types.FunctionType):
            raise UserError(f"{function!r}: is no plain function; give one, or source text")
        if function.__name__ == "<lambda>":
            raise UserError("a lambda has no text of its own; define the function with `def`")
        collector.add(function.__name__, function)
    return collector.needs, list(collector.texts.values())


class _Collector:
    """Walks over definitions and what they use, each once."""

    def __init__(self) -> None:
        self.needs: list[str] = []
        self.texts: dict[str, str] = {}
        self._seen: dict[str, Any] = {}

    def add(self, name: str, value: Any) -> None:
        """Take along what goes by a name, with everything that it uses."""
        # A decorated function: its text names the decorators.
        value = inspect.unwrap(value) if hasattr(value, "__wrapped__") else value
        if name in self._seen:
            if self._seen[name] is not value:
                raise UserError(f"{name!r} means two things in the functions given; rename one")
            return
        self._seen[name] = value
        if isinstance(value, types.ModuleType):
            self.needs.append(_import_module(name, value))
        elif isinstance(value, types.FunctionType | type) and not _installed(value.__module__):
            self._define(name, value)
        elif statement := _import_member(name, value):
            self.needs.append(statement)
        elif _is_plain(value):
            self.needs.append(f"{name} = {value!r}")
        else:
            kind = type(value).__name__
            raise UserError(
                f"{name!r} is a {kind}, which cannot be written down for the evaluator's process; "
                "make it inside the function"
            )

    def _define(self, name: str, value: types.FunctionType | type) -> None:
        text = _source(name, value)
        known: dict[str, Any] = dict(vars(sys.modules.get(value.__module__, builtins)))
        if isinstance(value, types.FunctionType):
            if inspect.iscoroutinefunction(value):
                raise UserError(f"{name!r} is asynchronous; give a plain function")
            known = {**value.__globals__, **_closure(value)}
        if value.__name__ != name:
            raise UserError(f"{name!r} is defined as {value.__name__!r}; use it by that name")
        for used in _names(text):
            if used != name and used in known:
                self.add(used, known[used])
        self.texts[name] = text


def _source(name: str, value: types.FunctionType | type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(value)).strip()
    except (OSError, TypeError):
        raise UserError(
            f"{name!r} has no source text (typed into an interpreter?); define it in a file, or "
            "give its text"
        ) from None


def _closure(function: types.FunctionType) -> Mapping[str, Any]:
    """Values of the names that a function takes from the functions around it."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found = {}
    for name, cell in cells:
        try:
            found[name] = cell.cell_contents
        except ValueError:
            raise UserError(
                f"{name!r} has no value yet where {function.__name__!r} uses it"
            ) from None
    return found


def _names(text: str) -> list[str]:
    """Names that a definition reads from outside, in order; annotations do not count."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    bound = {one for node in tree.body for one in _bound(node)}
    read = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    return [name for name in dict.fromkeys(read) if name not in bound]


def _bound(definition: ast.stmt) -> set[str]:
    """Parameters and local names of a function; a class binds none that its methods see."""
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return set()
    shared = {
        name
        for node in ast.walk(definition)
        if isinstance(node, ast.Global | ast.Nonlocal)
        for name in node.names
    }
    own: set[str] = {one.arg for one in ast.walk(definition.args) if isinstance(one, ast.arg)}
    stack: list[ast.AST] = list(definition.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
            continue  # what is bound in there is not bound out here
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.alias):
            own.add((node.asname or node.name).partition(".")[0])
        stack += ast.iter_child_nodes(node)
    return own - shared


def _import_module(name: str, module: types.ModuleType) -> str:
    if not _installed(module.__name__):
        raise UserError(
            f"{name!r} is a module of your own, which the evaluator's process does not find; "
            f"import the functions that you need (`from {module.__name__} import ...`)"
        )
    return f"import {module.__name__}" + ("" if module.__name__ == name else f" as {name}")


def _import_member(name: str, value: Any) -> str:
    """An import statement for something of an installed package; '' where there is none."""
    module, own = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(own, str) or not _installed(module):
        return ""
    if getattr(sys.modules.get(module), own, None) is not value:
        return ""
    if module == "builtins" and own == name:
        return ""
    return f"from {module} import {own}" + ("" if own == name else f" as {name}")


def _installed(module: str | None) -> bool:
    """Whether every Python process of this environment can import a module."""
    top = (module or "").partition(".")[0]
    if top == "breeder" or top in sys.stdlib_module_names:
        return top != "__main__"
    found = sys.modules.get(top)
    path = getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", ())), None)
    folders = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    return path is not None and any(Path(path).resolve().is_relative_to(f) for f in folders)


def _is_plain(value: Any) -> bool:
    """Whether `repr` gives back just this value."""
    if type(value) is dict:
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    if type(value) in _BOXES:
        return all(map(_is_plain, value))
    if type(value) in (float, complex):
        return bool(abs(value) < float("inf"))
    return type(value) in _PLAIN or type(value) is range
