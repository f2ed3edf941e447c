"""Loads a task's evaluate.py into an evaluator process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from breeder.errors import BreederError, EvaluatorError
from breeder.evaluation.cascade import EvaluateFunction, where


def load_evaluator(folder: Path, name: str) -> ModuleType:
    """Import the evaluator `name` of a task folder, which may import its neighbours.

    Leaves no bytecode in the folder: from here on this process writes none at all.

    Raises:
        EvaluatorError: it cannot be imported; one line with file and line.
        BreederError: whatever it raised of ours on purpose.
    """
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    path = folder / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise EvaluatorError(f"{name}: is not a Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (BreederError, KeyboardInterrupt):
        raise
    except FileNotFoundError as error:
        if error.filename == str(path):
            raise EvaluatorError(f"{name}: does not exist; write it") from None
        raise EvaluatorError(where(error, folder, name)) from None
    except BaseException as error:
        raise EvaluatorError(where(error, folder, name)) from None
    return module


def functions_of(
    module: ModuleType, file: str, names: Iterable[str]
) -> dict[str, EvaluateFunction]:
    """Return the named functions of an evaluator.

    Raises:
        EvaluatorError: one of them is missing or cannot be called.
    """
    found: dict[str, EvaluateFunction] = {}
    for name in names:
        function: Callable[..., Any] | None = getattr(module, name, None)
        if function is None:
            raise EvaluatorError(
                f"{file}: has no function {name!r}, which task.toml names; "
                f"write `def {name}(candidate)`"
            )
        if not callable(function):
            raise EvaluatorError(f"{file}: {name!r} is not a function")
        found[name] = function
    return found
