"""Compiles kernels with the compiler at hand, on first use, into a folder that is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from breeder import capabilities, machine
from breeder.errors import UserError
from breeder.training.sources import KernelSource

VARIABLE = "BREEDER_CACHE"
_COMPILERS = ("g++", "clang++")
_VERSION_SECONDS = 20
_COMPILE_SECONDS = 300


class BuildError(UserError):
    """A kernel cannot be built on this machine. One line says why."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler: the words that start it, and what it says its version is."""

    command: tuple[str, ...]
    version: str


def find_compiler() -> Compiler:
    """The first of g++, clang++ and the `ziglang` wheel that runs.

    Raises:
        BuildError: there is none; says what to install.
    """
    commands = [(path,) for name in _COMPILERS if (path := shutil.which(name))]
    wheel = find_spec("ziglang")
    if wheel is not None and wheel.submodule_search_locations:
        zig = Path(wheel.submodule_search_locations[0]) / "zig"
        commands.append((str(zig), "c++"))  # type: ignore[arg-type]
    for command in commands:
        told = _told([*command, "--version"])
        if told:
            return Compiler(command, told.partition("\n")[0])
    raise BuildError("no C++ compiler; install g++ or clang++, or pip install ziglang")


def cache_folder() -> Path:
    """Where libraries are kept: BREEDER_CACHE, else `breeder` in the user's cache folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named) / "kernels"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "breeder" / "kernels"


def library(source: KernelSource, compiler: Compiler, folder: Path) -> Path:
    """Where the shared library of a program is, or will be once it is built."""
    return folder / f"{source.op}-{_digest(source, compiler)}.so"


def build(source: KernelSource, compiler: Compiler, folder: Path) -> Path:
    """Return the shared library of a program, compiling it unless it is there already.

    It is found by everything that it depends on: program, flags, compiler and processor, so a
    folder shared by several machines holds one for each. It appears whole, by one rename.

    Raises:
        BuildError: the compiler refuses the program, or the folder cannot be written.
    """
    target = library(source, compiler, folder)
    if target.is_file():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as scratch:
            program = Path(scratch) / source.file
            program.write_text(source.text, encoding="utf-8")
            made = Path(scratch) / "program.so"
            _compile([*compiler.command, *source.flags], program, made)
            made.rename(target)
    except OSError as error:
        raise BuildError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return target


def _compile(command: Sequence[str], program: Path, made: Path) -> None:
    words = [*command, "-shared", "-fPIC", "-o", str(made), str(program), "-lm"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_COMPILE_SECONDS)
    except subprocess.TimeoutExpired:
        raise BuildError(f"compiling takes longer than {_COMPILE_SECONDS} s") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line]
        raise BuildError(f"does not compile: {(errors or ['no reason given'])[0][-200:]}")


def _digest(source: KernelSource, compiler: Compiler) -> str:
    facts = machine.describe()
    parts = (
        source.text, source.file, *source.flags, *compiler.command, compiler.version,
        str(facts["processor"]), *sorted(capabilities.cpu_flags()),
    )  # fmt: skip
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(f"{len(part)}:{part}".encode())
    return hasher.hexdigest()[:24]


def _told(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_VERSION_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
