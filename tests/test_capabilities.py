import os
import shutil
from pathlib import Path

import pytest

from breeder import capabilities


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_the_system_says_is_read(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu avx2 sse4_2 hypervisor\n\n")
    write(tmp_path, "proc/loadavg", "1.25 0.9 0.7 2/300 4711\n")
    cpu = "sys/devices/system/cpu"
    write(tmp_path, f"{cpu}/cpu0/cpufreq/scaling_governor", "powersave\n")
    write(tmp_path, f"{cpu}/intel_pstate/no_turbo", "0\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", "150000 100000\n")
    found = capabilities.find(tmp_path)
    assert (found.simd, found.virtual) == (("sse4_2", "avx2"), True)
    assert (found.governor, found.turbo) == ("powersave", True)
    assert (found.load, found.quota) == (1.25, 1.5)


def test_arm_and_amd_are_read_too(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "Features\t: fp asimd bf16 sve\n")
    write(tmp_path, "sys/devices/system/cpu/cpufreq/boost", "0\n")
    found = capabilities.find(tmp_path)
    assert (found.simd, found.virtual, found.turbo) == (("asimd", "bf16", "sve"), False, False)


def test_a_system_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    found = capabilities.find(tmp_path)
    assert (found.simd, found.governor, found.turbo, found.load, found.quota) == (
        *((), None, None, None, None),
    )
    assert found.cores == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("told", ["max 100000", "100000", "1 0", "", "a b"])
def test_no_quota_is_read_from_anything_else(tmp_path: Path, told: str) -> None:
    write(tmp_path, "sys/fs/cgroup/cpu.max", told)
    write(tmp_path, "proc/loadavg", "much")
    found = capabilities.find(tmp_path)
    assert (found.quota, found.load) == (None, None)


def test_clocks_step_by_less_than_they_measure() -> None:
    found = capabilities.find()
    assert 0 < found.cpu_clock_seconds < 0.1
    assert 0 < found.wall_clock_seconds < 0.1


def test_compilers_are_those_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tool(tmp_path, "gcc", "echo 'gcc (Some Distribution 9.9.9-1) 12.2.0'")
    tool(tmp_path, "g++", "exit 1")
    tool(tmp_path, "clang", "echo clang of my own")
    tool(tmp_path, "zig", "test $1 = version && echo 0.13.0")
    (tmp_path / "cc").write_text("no program")
    (tmp_path / "cc").chmod(0o755)
    assert capabilities.compilers() == {
        "gcc": "12.2.0",
        "clang": "of unknown version",
        "zig": "0.13.0",
    }


def test_no_compiler_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(capabilities, "find_spec", lambda name: None)
    assert capabilities.compilers() == {}
