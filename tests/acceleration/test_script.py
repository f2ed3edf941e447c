"""A user's script, run step by step: same gradients, its own faults in one line, always ended."""

import shutil
import textwrap

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.acceleration.script import Script  # noqa: E402
from breeder.acceleration.variant import Variant  # noqa: E402
from breeder.errors import UserError  # noqa: E402

pytestmark = [
    pytest.mark.slow,  # each imports torch in a process of its own
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
]

TRAINING = """
    import sys
    import torch
    from torch.nn import functional as F

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(96, 32)
            self.norm = torch.nn.LayerNorm(32)
            self.head = torch.nn.Linear(32, 96)

        def forward(self, tokens):
            return self.head(self.norm(self.table(tokens)))

    model = Model()
    optimiser = torch.optim.AdamW(model.parameters())
    for step in range(int(sys.argv[1])):
        tokens = torch.randint(96, (4, 16))
        loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
"""


@pytest.fixture
def training(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(textwrap.dedent(TRAINING))
    return path


def test_steps_are_told_apart_and_the_script_begins_again_when_it_ended(training, tmp_path):
    with Script([str(training), "3"], Variant(name="found"), tmp_path) as script:
        spent = [script.step() for _ in range(4)]
    assert all(one.cpu_seconds > 0 and one.wall_seconds > 0 for one in spent)


def test_a_profile_holds_the_matrix_products(training, tmp_path):
    with Script([str(training), "50"], Variant(name="found"), tmp_path) as script:
        profile = script.profile(2)
    products = [one for one in profile if one["op"] in ("aten::mm", "aten::addmm")]
    assert products
    assert all(one["seconds"] > 0 and one["flops"] > 0 for one in products)


def test_kernels_are_taken_and_leave_the_gradients_as_they_were(training, tmp_path):
    environment = {"BREEDER_CACHE": str(tmp_path), "BREEDER_REGISTRY": str(tmp_path / "none")}
    for variant in (Variant(name="found"), Variant(name="kernels", kernels=True, fused=True)):
        with Script([str(training), "50"], variant, tmp_path, environment) as script:
            script.step()
            report = script.report()
    ops = {one["op"] for one in report["buckets"]}
    assert {"layernorm", "cross_entropy", "embedding"} <= ops
    found, fast = (np.load(tmp_path / f"{name}.npy") for name in ("found", "kernels"))
    assert found.size == 2 * 96 * 32 + 96 + 2 * 32
    assert np.linalg.norm(found - fast) <= 1e-5 * np.linalg.norm(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise ValueError('of its own')", "ValueError: of its own"),
        ("print('nothing to train')", "the script ended before an optimiser's step"),
        ("import sys; sys.exit(3)", "exited with 3 before"),
        ("import os; os.abort()", "it died; see"),
    ],
)
def test_a_script_that_fails_is_named_in_one_line(text, problem, tmp_path):
    path = tmp_path / "train.py"
    path.write_text(text)
    with (
        Script([str(path)], Variant(name="found"), tmp_path) as script,
        pytest.raises(UserError, match=problem) as caught,
    ):
        script.step()
    assert "\n" not in str(caught.value)
