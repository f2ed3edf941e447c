"""Programs for the timed kernel tasks: their starts, and variants made from them by replacing text.

Only hand-written text that stands in the repository is compiled and run here.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import breeder.suites
from breeder.core import NativeFunction
from breeder.evaluation.loading import load_evaluator
from breeder.kernels import TrustedProgram, compiled

SUITE = Path(breeder.suites.__file__).parent / "kernels"


class Variant(NamedTuple):
    """A start with `old` replaced by `new` everywhere; honest unless it says how it is refused."""

    old: str
    new: str
    refusal: str = ""


class KernelPrograms:
    """A task's evaluator, and its start with variants in one compiled file.

    Args:
        task: its folder.
        variants: by name.
        folder: where to write the source. It is compiled with -O1 in place of -O3: to be right,
            not fast.
    """

    def __init__(self, task: Path, variants: Mapping[str, Variant], folder: Path) -> None:
        self.evaluate = load_evaluator(task, "evaluate.py")
        table = tomllib.loads((task / "task.toml").read_text(encoding="utf-8"))["program"]
        self.signatures = {
            function: NativeFunction(tuple(one["arguments"]))
            for function, one in table["functions"].items()
        }
        start = (task / "initial.cpp").read_text(encoding="utf-8")
        texts = {"start": start}
        for label, variant in variants.items():
            assert variant.old in start, f"{task.name}, {label}: nothing to replace"
            texts[label] = start.replace(variant.old, variant.new)
        source = folder / f"{task.name}.cpp"
        source.write_text(self._together(texts), encoding="utf-8")
        every = {
            f"{label}_{function}": signature
            for label in texts
            for function, signature in self.signatures.items()
        }
        flags = ["-O1" if flag == "-O3" else flag for flag in table["compile_flags"]]
        self._library = compiled(source, flags, every)

    def candidate(self, label: str) -> "InProcess":
        """One of the programs, with the start beside it."""
        return InProcess(self._library, label)

    def _together(self, texts: Mapping[str, str]) -> str:
        parts = [f"#include <{name}>" for name in ("cmath", "cstdint", "cstring", "vector")]
        for label, text in texts.items():
            body = re.sub(r"#include .*", "", text)
            for function in self.signatures:
                body = body.replace(f"void {function}(", f"void {label}_{function}(")
            parts.append(f"namespace {label} {{\n{body}\n}}")
        return "\n".join(parts)


class InProcess:
    """A `Candidate` whose functions have a prefix in a library of this process."""

    to_beat = None

    def __init__(self, library: TrustedProgram, label: str) -> None:
        self._library, self._label = library, label

    def prepare(self, function, calls):
        """Lay out calls."""
        return self._library.prepare(f"{self._label}_{function}", calls)

    def beside(self, files):
        """The start."""
        assert list(files) == ["initial.cpp"]
        return InProcess(self._library, "start")

    def restart(self):
        """There is no other process."""

    def exchange(self, other):
        """There is no sandbox."""
