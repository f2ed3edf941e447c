"""What a verification ran on: versions, compilers, machine."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib import metadata
from typing import Literal

from breeder import __version__, machine
from breeder.evaluation import sandboxes
from breeder.verification.certificate import Environment

_PACKAGES = ("numpy", "scipy", "torch")
_COMPILERS = ("gcc", "g++", "clang")
_SECONDS = 10


def environment(sandbox: Literal["bubblewrap", "none"]) -> Environment:
    """Describe this machine for the record."""
    return Environment(
        breeder=__version__,
        python=platform.python_version(),
        packages=_packages(),
        compilers=_compilers(),
        machine=machine.describe(),
        sandbox=sandboxes.describe(sandbox),
        sandbox_kind=sandbox,
    )


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _compilers() -> dict[str, str]:
    found = {}
    for name in _COMPILERS:
        path = shutil.which(name)
        if path is None:
            continue
        try:
            answer = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        found[name] = answer.stdout.partition("\n")[0].strip()
    return found
