"""What a machine offers to measuring and compiling, as far as it tells; nothing here fails."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from breeder import machine

COMPILERS = ("gcc", "g++", "clang", "cc")
# As /proc/cpuinfo spells them, on x86-64 and on ARM, in the order in which they are shown.
SIMD = (
    *("sse4_2", "avx", "fma", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
_ANSWER_SECONDS = 10.0  # a compiler that takes longer to say its version is as good as none
_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What was found; None where the machine does not say.

    Attributes:
        cores: that this process may use.
        quota: cores that a control group lets it use in the long run.
        load: runnable processes in the last minute, on average.
        virtual: whether it is a virtual machine.
        governor: of the first core's frequency.
        turbo: whether the frequency may exceed the nominal one.
        simd: extensions of the instruction set that kernels care about.
        compilers: name -> version of every compiler that runs.
        cpu_clock_seconds, wall_clock_seconds: smallest step seen.
    """

    cores: int
    quota: float | None
    load: float | None
    virtual: bool
    governor: str | None
    turbo: bool | None
    simd: tuple[str, ...]
    compilers: Mapping[str, str]
    cpu_clock_seconds: float
    wall_clock_seconds: float


def find(root: Path = _ROOT) -> Capabilities:
    """Look around; `root` is where /proc and /sys are found."""
    flags = cpu_flags(root)
    return Capabilities(
        cores=machine.cores(),
        quota=_quota(root),
        load=load(root),
        virtual="hypervisor" in flags,
        governor=_read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        turbo=_turbo(root),
        simd=tuple(name for name in SIMD if name in flags),
        compilers=compilers(),
        cpu_clock_seconds=_step(time.CLOCK_THREAD_CPUTIME_ID),
        wall_clock_seconds=_step(time.CLOCK_MONOTONIC),
    )


def cpu_flags(root: Path = _ROOT) -> frozenset[str]:
    """Flags of the first core as Linux lists them; empty elsewhere."""
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def compilers() -> dict[str, str]:
    """Name -> version of the compilers that run; `zig` also where it is a Python wheel."""
    commands = {name: [path, "--version"] for name in COMPILERS if (path := shutil.which(name))}
    wheel = find_spec("ziglang")
    if zig := shutil.which("zig"):
        commands["zig"] = [zig, "version"]
    elif wheel is not None and wheel.submodule_search_locations:
        commands["zig"] = [str(Path(wheel.submodule_search_locations[0]) / "zig"), "version"]
    found = {name: _version(command) for name, command in commands.items()}
    return {name: version for name, version in found.items() if version is not None}


def _version(command: list[str]) -> str | None:
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_ANSWER_SECONDS
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # Distributions put their own version in brackets before that of the compiler.
    words = re.sub(r"\([^)]*\)", "", told.stdout.partition("\n")[0])
    number = re.search(r"\d+(\.\d+)+", words)
    return number[0] if number else "of unknown version"


def _quota(root: Path) -> float | None:
    told = (_read(root / "sys/fs/cgroup/cpu.max") or "").split()
    if len(told) != 2 or not all(word.isdigit() for word in told) or told[1] == "0":
        return None
    return int(told[0]) / int(told[1])


def load(root: Path = _ROOT) -> float | None:
    """Runnable processes in the last minute, on average; None where the system does not say."""
    told = (_read(root / "proc/loadavg") or "").split()
    try:
        return float(told[0])
    except (IndexError, ValueError):
        return None


def _turbo(root: Path) -> bool | None:
    cpu = root / "sys/devices/system/cpu"
    if (forbidden := _read(cpu / "intel_pstate/no_turbo")) is not None:
        return forbidden == "0"
    if (allowed := _read(cpu / "cpufreq/boost")) is not None:
        return allowed == "1"
    return None


def _step(clock: int) -> float:
    """Smallest difference between successive readings of a clock that is not 0, in seconds."""
    readings = [time.clock_gettime_ns(clock) for _ in range(2000)]
    steps = [b - a for a, b in itertools.pairwise(readings) if b > a]
    # Every reading may have been the same: the clock is coarser than they took together.
    return min(steps) * 1e-9 if steps else time.clock_getres(clock)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
