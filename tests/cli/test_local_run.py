"""A run with a real model of 135 M parameters on this machine. Nothing it says is good."""

import importlib.util
import json
from pathlib import Path

import pytest

from breeder.proposers.llm.local.catalogue import lookup
from breeder.proposers.llm.local.folder import pulled

from .conftest import Breeder

NAME = "smollm2-135m"
TASK = Path(__file__).parents[2] / "benchmarks" / "data" / "small_models" / "scheduling"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None, reason="the extra `local` is not installed"
    ),
    pytest.mark.skipif(
        not pulled(lookup(NAME)), reason=f"not here; run: breeder models pull {NAME}"
    ),
]


def test_answers_of_a_local_model_arrive_and_are_evaluated(
    breeder: Breeder, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = breeder(
        *("run", TASK, "--out", out, "--model", f"local:{NAME}", "--evaluations", "30"),
        *("--seed", "1", "--json"),
    )
    assert done.code == 0, done
    data = json.loads(breeder("show", out, "--json").out)
    (record,) = data["models"]["models"]
    assert record["answers"] > 0
    assert record["cpu_seconds"] > 0
    assert record["losses"] == {}
    # What it used is in the books of the run.
    assert data["cost"]["propose"]["cpu_seconds"] >= record["cpu_seconds"] - 0.01
    shares = {row["name"]: row["evaluations"] for row in data["proposers"]}
    assert shares[f"model:local:{NAME}"] > 0
