"""`breeder kernels` and `breeder accelerate` as a user meets them."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder, assert_one_line

from breeder.training import devices
from breeder.training.sources import TASKS, TRITON


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREEDER_REGISTRY", str(tmp_path / "adopted"))
    monkeypatch.setenv("BREEDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(devices, "has_gpu", lambda: False)


def test_the_list_has_a_line_for_each_kernel(breeder: Breeder) -> None:
    done = breeder("kernels", "list")
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) == len(TASKS) + len(TRITON)
    assert all("written by hand" in line for line in lines)
    assert all("needs a GPU" in line for line in lines if "in Triton" in line)


def test_the_list_in_json(breeder: Breeder) -> None:
    (entry,) = json.loads(breeder("kernels", "list", "adamw", "--json").out)
    assert entry["op"] == "adamw"
    assert entry["bucket"] == "any"
    assert entry["speedup"] is None


@pytest.mark.parametrize("command", ["list", "verify", "install"])
def test_an_operation_that_does_not_exist_is_refused(breeder: Breeder, command: str) -> None:
    done = breeder("kernels", command, "nothing")
    assert_one_line(done, "'nothing' is no operation; there are attention_forward")


def test_a_champion_that_does_not_exist_is_refused(breeder: Breeder, tmp_path: Path) -> None:
    done = breeder("kernels", "install", "rope", "--champion", tmp_path / "nothing")
    assert_one_line(done, "nothing: does not exist")


def test_a_script_that_does_not_exist_is_refused(breeder: Breeder, tmp_path: Path) -> None:
    assert_one_line(breeder("accelerate", tmp_path / "train.py"), "train.py: is no file")
