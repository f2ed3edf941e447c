"""Runs a program that ships with breeder in this process, for tests of its task's evaluator.

Only for programs written by hand that stand in the repository: generated code never runs here.
"""

import importlib.util
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breeder.task import load_native


class DirectCandidate:
    """A `Candidate` whose Python program is imported from its task folder."""

    def __init__(self, folder: Path, *, construction: Any = None, seed: int = 0) -> None:
        task = load_native(folder)
        self.files: Mapping[str, str] = task.files
        self.construction = construction
        self.seed = seed
        self.cpu_seconds = 0.0
        sys.path.insert(0, str(folder))
        try:
            path = folder / task.file.program.files[0]
            spec = importlib.util.spec_from_file_location(f"direct_{folder.name}", path)
            assert spec is not None
            assert spec.loader is not None
            self.module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self.module)
        finally:
            sys.path.remove(str(folder))

    def call(self, function: str, *arguments: Any, **_limits: float | None) -> Any:
        """Call a function of the program."""
        begin = time.process_time()
        try:
            return getattr(self.module, function)(*arguments)
        finally:
            self.cpu_seconds += time.process_time() - begin

    def restart(self) -> None:
        """Nothing to restart."""
