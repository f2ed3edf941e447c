"""Kernels in Triton, in its interpreter: right by the rules of the native ones, none ever timed.

Triton reads its switch when it is imported: everything here happens in processes of its own.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from breeder.checking import check_folder
from breeder.training import checking, devices
from breeder.training.catalogue import Catalogue
from breeder.training.sources import TRITON, sources
from breeder.verification.registry import Registry

pytestmark = [
    pytest.mark.slow,  # interpreting takes milliseconds for what a GPU does in nanoseconds
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not devices.installed(), reason="triton is not installed"),
    pytest.mark.skipif(devices.has_gpu(), reason="a GPU is here: this is about the interpreter"),
]

WRONG = {
    "rmsnorm": ("/ columns + epsilon", "/ columns", "is allowed"),
    "rmsnorm_backward": ("scaled - normed * mean[:, None]", "scaled", "is allowed"),
    "cross_entropy": ("counted = target != IGNORED", "counted = target == target", "instead of 0"),
    "attention_forward": ("columns[None, :] <= rows", "columns[None, :] < rows", "out"),
    "attention_forward_bf16": ("bits + 0x7FFF + ((bits >> 16) & 1)", "bits", "is allowed"),
    "attention_backward": ("input_precision=PRECISION) - less[:, None]",
                           "input_precision=PRECISION)", "grad_"),
    "attention_backward_bf16": ("range(0, group)", "range(0, 1)", "grad_k"),
}  # fmt: skip


def program(op, folder, change=("", "")):
    (source,), _ = sources(op, Registry(folder), "triton")
    assert change[0] in source.text
    return devices.program(replace(source, text=source.text.replace(*change)), folder)


@pytest.mark.parametrize("op", TRITON)
def test_it_passes_the_checks_of_the_native_kernel(op, tmp_path):
    assert checking.examined(op, program(op, tmp_path)).fault == ""


@pytest.mark.parametrize("op", WRONG)
def test_a_wrong_one_is_refused(op, tmp_path):
    *change, problem = WRONG[op]
    assert problem in checking.examined(op, program(op, tmp_path, change)).fault


def test_a_verification_says_what_it_is_worth(tmp_path):
    catalogue = Catalogue(Registry(tmp_path / "adopted"), tmp_path / "programs")
    _, entry = catalogue.verified(["rmsnorm"])
    assert entry.state == "needs a GPU; right in Triton's interpreter, never timed"
    assert entry.needs
    assert not entry.usable
    assert entry.speedup is None


def test_a_task_checks_its_start_in_the_sandbox_and_times_nothing():
    (mistake,) = [
        one for one in check_folder("kernels/triton_rmsnorm").findings if one.level == "mistake"
    ]
    assert mistake.text.startswith("right in every quick case, but times")
    assert "no GPU here" in mistake.text


def test_a_model_computes_the_same_with_them(tmp_path):
    environment = {**os.environ, devices.VARIABLE: "1"}
    script = Path(__file__).with_name("triton_in_a_model.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True, text=True, env=environment, timeout=1000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *exact, rounded = json.loads(done.stdout)
    for distances, report in exact:
        assert max(distances) <= 1e-5
        assert any(line.startswith("attention float32") for line in report)
        assert all("interpreter: kernel (written by hand in Triton)" in line for line in report)
    assert max(rounded[0]) <= 2e-2


def test_they_compile_for_gpus_that_are_not_here(tmp_path):
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop(devices.VARIABLE, None)
    script = Path(__file__).with_name("triton_for_a_gpu.py")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment,
        timeout=1000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    assert len(sizes) == 8
    assert all(size > 0 for size in sizes.values())
