"""Programs for kernels/rmsnorm written by hand: right, wrong, dangerous, or no program at all."""

from pathlib import Path

import breeder.suites
from breeder.core import NativeFunction
from breeder.training.sources import KernelSource, sources
from breeder.verification.registry import Registry

START = (Path(breeder.suites.__file__).parent / "kernels/rmsnorm/initial.cpp").read_text()
FACTOR = "const float factor = 1 / sqrtf(sum / columns + epsilon);"
CRASHING = START.replace(FACTOR, "const float factor = *(const float *)8;")
WRONG = START.replace(FACTOR, "const float factor = 1 / sqrtf(sum / columns);")
REFUSED = START.replace(FACTOR, "const float factor = nothing_of_that_name;")


def by_hand(folder: Path) -> KernelSource:
    """The RMS normalisation that ships."""
    found, _ = sources("rmsnorm", Registry(folder))
    return found[-1]


def program(text: str, origin: str = "a test") -> KernelSource:
    """A program of the task kernels/rmsnorm."""
    signature = NativeFunction(
        ("float32[]", "float32[]", "inout float32[]", "int64", "int64", "float32")
    )
    return KernelSource(
        "rmsnorm", "float32", origin, "initial.cpp", text, ("-O1", "-std=c++17"),
        {"rmsnorm": signature},
    )  # fmt: skip
